import { Injectable } from '@nestjs/common';
import { CacheService } from 'nestjs-scoped-cache';
import { Database } from '../database.js';
import { FiguresService } from './figures.service.js';

/** A cron job has no request, so it says whom it works for. */
@Injectable()
export class NightlyFigures {
  constructor(
    private readonly cache: CacheService,
    private readonly database: Database,
    private readonly figures: FiguresService,
  ) {}

  // With @nestjs/schedule: @Cron('0 3 * * *')
  async run(): Promise<void> {
    for (const org of this.database.organizations)
      await this.cache.runInScope({ org }, () => this.figures.figures(org));
  }
}
