import { Controller, Delete, Get, Inject, Param } from '@nestjs/common';
import { CacheService } from 'nestjs-scoped-cache';

/** What a request for prices tells. */
export interface Prices {
  readonly org: string;
  /** The process that asked the slow source. */
  readonly loadedBy: number;
  readonly answeredBy: number;
  readonly version: number;
}

@Controller('orgs/:org/prices')
export class PricesController {
  #loads = 0;

  constructor(@Inject(CacheService) private readonly cache: CacheService) {}

  @Get()
  async prices(@Param('org') org: string): Promise<Prices> {
    const found = await this.cache.getOrSet('prices', () => this.#load(org), { scope: { org } });
    return { ...found, answeredBy: process.pid };
  }

  @Delete()
  async evict(@Param('org') org: string): Promise<{ evicted: number }> {
    return { evicted: await this.cache.evictScope({ org }) };
  }

  async #load(org: string): Promise<Omit<Prices, 'answeredBy'>> {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return { org, loadedBy: process.pid, version: ++this.#loads };
  }
}
