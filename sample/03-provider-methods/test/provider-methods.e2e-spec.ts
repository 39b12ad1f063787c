import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CacheService } from 'nestjs-scoped-cache';
import { AppModule } from '../src/app.module.js';
import { Database } from '../src/database.js';
import { FiguresService } from '../src/figures/figures.service.js';
import { NightlyFigures } from '../src/figures/nightly.job.js';
import { InvoiceQueue } from '../src/invoices/invoice.queue.js';
import { ProductsService } from '../src/products/products.service.js';
import { show } from '../src/show.js';

// The database of the sample is slow on purpose; a test need not wait for it as long.
process.env.QUERY_MS = '2';

describe('the sample of provider methods', () => {
  let app: INestApplicationContext;
  let database: Database;
  let products: ProductsService;

  beforeEach(async () => {
    app = await NestFactory.createApplicationContext(AppModule, { logger: false });
    database = app.get(Database);
    products = app.get(ProductsService);
  });
  afterEach(() => app.close());

  const costOf = async (work: () => unknown): Promise<number> => {
    const before = database.reads;
    await work();
    return database.reads - before;
  };

  it('caches calls through this, one by one', async () => {
    await products.find('acme', '1');
    expect(await costOf(() => products.findAll('acme', ['1', '2', '3']))).toBe(2);
    expect(await costOf(() => products.findAll('acme', ['1', '2', '3']))).toBe(0);
  });

  it('puts what rename returns, for its own organization only, and evicts the list', async () => {
    await products.find('globex', '1');
    await products.inCategory('acme', 'iron');
    await products.rename('acme', '1', 'Anvil XL');
    expect(await costOf(() => products.find('acme', '1'))).toBe(0);
    expect((await products.find('acme', '1'))?.name).toBe('Anvil XL');
    expect((await products.find('globex', '1'))?.name).toBe('Anvil');
    expect((await products.inCategory('acme', 'iron')).map(({ name }) => name)).toContain(
      'Anvil XL',
    );
  });

  it('does not put what "unless" refuses', async () => {
    await products.add('acme', { id: '8', name: 'draft', category: 'air' });
    await products.add('acme', { id: '9', name: 'Kite', category: 'air' });
    expect(await costOf(() => products.findAll('acme', ['8', '9']))).toBe(1);
  });

  it('evicts by tag what carries it, and by name what was removed', async () => {
    await products.findAll('acme', ['1', '3']);
    await products.closeCategory('acme', 'iron');
    expect(await costOf(() => products.findAll('acme', ['1', '3']))).toBe(1);
    await products.remove('acme', '3');
    expect(await products.find('acme', '3')).toBeUndefined();
  });

  it('runs the cron job in the scope of each organization', async () => {
    await app.get(NightlyFigures).run();
    await app.get(NightlyFigures).run();
    expect(app.get(FiguresService).runs).toBe(2);
    await app.get(CacheService).evictScope({ org: 'acme' });
    await app.get(NightlyFigures).run();
    expect(app.get(FiguresService).runs).toBe(3);
  });

  it('runs jobs of the queue in the scopes of their users, also at once', async () => {
    const jobs = ['ann', 'bob', 'ann'].map((user) => ({ org: 'acme', user }));
    const process = () => app.get(InvoiceQueue).process(jobs);
    expect(await costOf(process)).toBe(2);
    expect(await process()).toEqual([
      'Invoice for ann, acme street',
      'Invoice for bob, acme street',
      'Invoice for ann, acme street',
    ]);
    expect(await costOf(process)).toBe(0);
  });

  it('plays its story with the costs that the README shows', async () => {
    const lines: string[] = [];
    await show(app, (line) => lines.push(line));
    expect(lines.map((line) => Number(line.slice(0, 2)))).toEqual([
      1, 0, 1, 1, 1, 0, 1, 0, 2, 0, 4, 0, 2, 0,
    ]);
  });
});
