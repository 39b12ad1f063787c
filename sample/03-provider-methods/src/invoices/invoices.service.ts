import { Injectable } from '@nestjs/common';
import { Cacheable } from 'nestjs-scoped-cache';
import { Database } from '../database.js';

@Injectable()
export class InvoicesService {
  constructor(private readonly database: Database) {}

  async write(org: string, user: string): Promise<string> {
    return `Invoice for ${await this.address(org, user)}`;
  }

  /** In the user's own scope. Outside of `runInScope` and requests it runs uncached, with one warning. */
  @Cacheable({ scope: 'user', key: 'address' })
  address(org: string, user: string): Promise<string> {
    return this.database.address(org, user);
  }
}
