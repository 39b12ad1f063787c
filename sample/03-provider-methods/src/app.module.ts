import { Module } from '@nestjs/common';
import { CacheModule } from 'nestjs-scoped-cache';
import { Database } from './database.js';
import { InvoiceProcessor } from './invoices/invoice.processor.js';
import { InvoiceQueue } from './invoices/invoice.queue.js';
import { InvoicesService } from './invoices/invoices.service.js';
import { ProductsService } from './products/products.service.js';
import { NightlyFigures } from './figures/nightly.job.js';
import { FiguresService } from './figures/figures.service.js';

@Module({
  imports: [CacheModule.forRoot({ ttl: '10m' })],
  providers: [
    Database,
    ProductsService,
    FiguresService,
    NightlyFigures,
    InvoicesService,
    InvoiceProcessor,
    InvoiceQueue,
  ],
})
export class AppModule {}
