import { Injectable } from '@nestjs/common';
import { CacheService } from 'nestjs-scoped-cache';
import type { InvoiceJob } from './invoice.queue.js';
import { InvoicesService } from './invoices.service.js';

// With @nestjs/bullmq: @Processor('invoices'), and extends WorkerHost
@Injectable()
export class InvoiceProcessor {
  constructor(
    private readonly cache: CacheService,
    private readonly invoices: InvoicesService,
  ) {}

  /** Everything below finds the ids of this job, across every await, however many jobs run at once. */
  process({ org, user }: InvoiceJob): Promise<string> {
    return this.cache.runInScope({ org, user }, () => this.invoices.write(org, user));
  }
}
