import { Body, Controller, Delete, Get, Patch } from '@nestjs/common';
import { Cacheable, CacheEvict, CacheService } from 'nestjs-scoped-cache';
import { AdminOnly, CurrentUser, type Principal } from '../auth/principal.js';
import { Database } from '../data/database.js';
import { textField } from '../data/text-field.js';
import { OrdersService } from '../orders/orders.service.js';

@Controller('organization')
export class OrganizationController {
  constructor(
    private readonly database: Database,
    private readonly orders: OrdersService,
    private readonly cache: CacheService,
  ) {}

  /** One copy for each organization, shared by its users. `key` says that it does not depend on who of them asks. */
  @Get()
  @Cacheable({ name: 'organization', key: 'page', scope: 'org', ttl: '10m', tags: ['figures'] })
  async show(@CurrentUser() { orgId }: Principal) {
    const [organization, members, orders] = await Promise.all([
      this.database.organization(orgId),
      this.database.countUsers(orgId),
      this.database.orders(orgId),
    ]);
    return { ...organization, members, orders: orders.length };
  }

  /** Cached one level down, in the service. */
  @Get('top-items')
  topItems(@CurrentUser() { orgId }: Principal) {
    return this.orders.topItems(orgId);
  }

  /** Evicts by name. */
  @AdminOnly()
  @Patch()
  @CacheEvict({ name: 'organization', scope: 'org', allEntries: true })
  rename(@CurrentUser() { orgId }: Principal, @Body() body: unknown) {
    return this.database.renameOrganization(orgId, textField(body, 'name'));
  }

  /** Evicts all of the administrator's organization, its users and their sessions. Other organizations keep theirs. */
  @AdminOnly()
  @Delete('cache')
  async evict() {
    return { evicted: await this.cache.evictScope('org') };
  }
}
