import { Injectable } from '@nestjs/common';
import { InvoiceProcessor } from './invoice.processor.js';

export interface InvoiceJob {
  readonly org: string;
  readonly user: string;
}

/** Stands for BullMQ or any other queue: jobs carry ids, and are processed where no request is. */
@Injectable()
export class InvoiceQueue {
  constructor(private readonly processor: InvoiceProcessor) {}

  /** All at once, as workers with some concurrency would. */
  process(jobs: readonly InvoiceJob[]): Promise<string[]> {
    return Promise.all(jobs.map((job) => this.processor.process(job)));
  }
}
