import type { INestApplicationContext } from '@nestjs/common';
import { Database } from './database.js';
import { NightlyFigures } from './figures/nightly.job.js';
import { InvoiceQueue } from './invoices/invoice.queue.js';
import { ProductsService } from './products/products.service.js';

/** Plays the story that the README tells, a line for each step with what it cost the database. */
export async function show(
  app: INestApplicationContext,
  print: (line: string) => void,
): Promise<void> {
  const database = app.get(Database);
  const products = app.get(ProductsService);
  const step = async (title: string, work: () => unknown): Promise<void> => {
    const before = database.reads;
    const result = await work();
    const shown = result === undefined ? '' : `  ${JSON.stringify(result)}`;
    print(`${String(database.reads - before).padStart(2)} reads  ${title}${shown}`);
  };
  const names = async (): Promise<unknown> =>
    (await products.findAll('acme', ['1', '2'])).map((product) => product?.name);

  await step('find, the first time', () => products.find('acme', '1'));
  await step('find, again', () => products.find('acme', '1'));
  await step('through this: one is cached already', names);
  await step('another organization has entries of its own', () => products.find('globex', '1'));
  await step('rename reads, writes, and puts its result', () =>
    products.rename('acme', '1', 'Anvil XL'),
  );
  await step('so find knows the new name', names);
  await step('a list, by category', () => products.inCategory('acme', 'iron'));
  await step('evict one tag: products and lists', () => products.closeCategory('acme', 'iron'));
  await step('both must be read again', names);
  await step('but not in the other organization', () => products.find('globex', '1'));
  await step('the cron job, for each organization', () => app.get(NightlyFigures).run());
  await step('the cron job, again', () => app.get(NightlyFigures).run());
  const jobs = ['ann', 'bob', 'ann'].map((user) => ({ org: 'acme', user }));
  await step('three jobs of two users at once', () => app.get(InvoiceQueue).process(jobs));
  await step('the same jobs', () => app.get(InvoiceQueue).process(jobs));
}
