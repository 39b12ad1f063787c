import { Injectable } from '@nestjs/common';
import { CacheService, type ScopedCache } from 'nestjs-scoped-cache';
import { Database } from '../data/database.js';

/** A view on the cache of the organization of whoever is asking: no call can forget the scope. */
@Injectable()
export class OrdersService {
  readonly #cache: ScopedCache;

  constructor(
    private readonly database: Database,
    cache: CacheService,
  ) {
    // 'org' is only a name here: each call finds the id in the request that it serves.
    this.#cache = cache.in('org');
  }

  /** What the organization orders most. Without an organization it rejects with MissingScopeError. */
  topItems(orgId: string): Promise<{ item: string; orders: number }[]> {
    return this.#cache.getOrSet('top-items', () => this.#countItems(orgId), {
      ttl: '10m',
      tags: ['figures'],
    });
  }

  async #countItems(orgId: string): Promise<{ item: string; orders: number }[]> {
    const counts = new Map<string, number>();
    for (const { item } of await this.database.orders(orgId))
      counts.set(item, (counts.get(item) ?? 0) + 1);
    return [...counts]
      .map(([item, orders]) => ({ item, orders }))
      .sort((one, other) => other.orders - one.orders)
      .slice(0, 3);
  }
}
