import {
  BadRequestException,
  Body,
  Controller,
  Get,
  NotFoundException,
  Param,
  ParseIntPipe,
  Post,
  Query,
} from '@nestjs/common';
import { Cacheable, CacheEvict } from 'nestjs-scoped-cache';
import { CurrentUser, type Principal } from '../auth/principal.js';
import { Database } from '../data/database.js';
import { textField } from '../data/text-field.js';

@Controller('orders')
export class OrdersController {
  constructor(private readonly database: Database) {}

  /** Only `status` matters: other query parameters can neither split nor grow the cache. */
  @Get()
  @Cacheable({ scope: 'user', ttl: '5m', tags: ['orders'], query: ['status'] })
  async list(@CurrentUser() { orgId, id }: Principal, @Query('status') status?: string) {
    const orders = await this.database.ordersOf(orgId, id);
    return status === undefined ? orders : orders.filter((order) => order.status === status);
  }

  /** A 404 is an error, and errors are never stored. */
  @Get(':id')
  @Cacheable({ scope: 'user', ttl: '5m', tags: ['orders'] })
  async show(@CurrentUser() user: Principal, @Param('id', ParseIntPipe) orderId: number) {
    const orders = await this.database.ordersOf(user.orgId, user.id);
    const order = orders.find(({ id }) => id === orderId);
    if (!order) throw new NotFoundException(`You have no order ${orderId}.`);
    return order;
  }

  /** Evicts by tags: what this user, in whatever session, sees of orders, and the organization's figures. */
  @Post()
  @CacheEvict({ scope: 'user', tags: ['orders'] })
  @CacheEvict({ scope: 'org', tags: ['figures'] })
  async place(@CurrentUser() { orgId, id }: Principal, @Body() body: { cents?: unknown }) {
    const item = textField(body, 'item');
    const { cents } = body;
    if (typeof cents !== 'number' || !Number.isInteger(cents) || cents < 1)
      throw new BadRequestException('"cents" must be a whole number from 1 up.');
    return this.database.addOrder(orgId, id, item, cents);
  }
}
