import { Controller, Get } from '@nestjs/common';
import { CacheService } from 'nestjs-scoped-cache';
import { Public } from '../auth/principal.js';
import { Database } from '../data/database.js';

@Controller('stats')
export class StatsController {
  constructor(
    private readonly cache: CacheService,
    private readonly database: Database,
  ) {}

  /** Figures only, no data, so anybody may look. */
  @Public()
  @Get()
  async show() {
    const { hits, misses, hitRate, loads, evictions, totalKeys } = await this.cache.stats();
    return {
      hits,
      misses,
      hitRate,
      loads,
      evictions,
      totalKeys,
      databaseReads: this.database.reads,
    };
  }
}
