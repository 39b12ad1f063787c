import { Injectable } from '@nestjs/common';
import { CacheService } from 'nestjs-scoped-cache';
import { Database } from '../data/database.js';

/** Caching by hand: the same cache, without decorators. */
@Injectable()
export class RatesService {
  constructor(
    private readonly cache: CacheService,
    private readonly database: Database,
  ) {}

  /** Exchange rates by currency. One read of the database per minute, however many ask. */
  all(): Promise<Record<string, number>> {
    return this.cache.getOrSet('rates', () => this.database.rates(), { ttl: '1m' });
  }
}
