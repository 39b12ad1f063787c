import { Body, Controller, Get, Patch } from '@nestjs/common';
import { Cacheable, CacheEvict } from 'nestjs-scoped-cache';
import { CurrentUser, type Principal } from '../auth/principal.js';
import { Database } from '../data/database.js';
import { textField } from '../data/text-field.js';

@Controller('me')
export class UsersController {
  constructor(private readonly database: Database) {}

  /** One copy for each user. User 1 of acme and user 1 of globex are two users: ids nest in their organization. */
  @Get()
  @Cacheable({ name: 'profile', scope: 'user', ttl: '10m' })
  async show(@CurrentUser() { orgId, id }: Principal) {
    return { orgId, ...(await this.database.user(orgId, id)) };
  }

  @Patch()
  @CacheEvict({ name: 'profile', scope: 'user', allEntries: true })
  async rename(@CurrentUser() { orgId, id }: Principal, @Body() body: unknown) {
    return { orgId, ...(await this.database.renameUser(orgId, id, textField(body, 'name'))) };
  }
}
