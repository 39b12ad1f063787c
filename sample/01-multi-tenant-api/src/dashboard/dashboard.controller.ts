import { BadRequestException, Body, Controller, Get, Put } from '@nestjs/common';
import { Cacheable, CacheEvict } from 'nestjs-scoped-cache';
import { CurrentSession, CurrentUser, type Principal } from '../auth/principal.js';
import type { Session } from '../auth/sessions.js';
import { RatesService } from '../catalog/rates.service.js';
import { Database } from '../data/database.js';
import { textField } from '../data/text-field.js';

@Controller('dashboard')
export class DashboardController {
  constructor(
    private readonly database: Database,
    private readonly rates: RatesService,
  ) {}

  /** One copy for each login, because the currency belongs to the session. Without a session it runs uncached. */
  @Get()
  @Cacheable({ name: 'dashboard', scope: 'session', ttl: '5m', tags: ['orders'] })
  async show(@CurrentUser() { orgId, id }: Principal, @CurrentSession() session?: Session) {
    const currency = session?.currency ?? 'EUR';
    const [orders, rates] = await Promise.all([
      this.database.ordersOf(orgId, id),
      this.rates.all(),
    ]);
    const cents = orders.reduce((sum, order) => sum + order.cents, 0);
    return { orders: orders.length, currency, spent: (cents / 100) * rates[currency]! };
  }

  @Put('currency')
  @CacheEvict({ name: 'dashboard', scope: 'session', allEntries: true })
  async choose(@Body() body: unknown, @CurrentSession() session?: Session) {
    const currency = textField(body, 'currency');
    if (!session) throw new BadRequestException('There is no session to remember it in.');
    if (!Object.hasOwn(await this.rates.all(), currency))
      throw new BadRequestException(`There is no rate for ${currency}.`);
    session.currency = currency;
    return { currency };
  }
}
