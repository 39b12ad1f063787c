import { setTimeout as pause } from 'node:timers/promises';
import { Controller, Get, Param } from '@nestjs/common';
import { Cacheable } from 'nestjs-scoped-cache';

/** Says which process did the work. */
export interface Report {
  readonly name: string;
  readonly madeBy: number;
}

@Controller('reports')
export class ReportsController {
  /** Takes a while, and should not be made again only because the application was deployed. */
  @Cacheable()
  @Get(':name')
  async report(@Param('name') name: string): Promise<Report> {
    await pause(100);
    return { name, madeBy: process.pid };
  }
}
