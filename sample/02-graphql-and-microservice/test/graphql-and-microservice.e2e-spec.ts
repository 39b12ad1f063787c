import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { INestApplication } from '@nestjs/common';
import { createApp } from '../src/app.js';
import { Database } from '../src/database.js';

// The database of the sample is slow on purpose; a test need not wait for it as long.
process.env.QUERY_MS = '5';

describe('the GraphQL and microservice sample', () => {
  let app: INestApplication;
  let database: Database;

  beforeEach(async () => {
    app = await createApp(await freePort());
    app.useLogger(false);
    await app.listen(0, '127.0.0.1');
    database = app.get(Database);
  });
  afterEach(() => app.close());

  // oxlint-disable-next-line typescript/no-explicit-any -- what each query answers is what the tests are about
  const ask = async (user: string | undefined, query: string): Promise<any> => {
    const response = await fetch(`${await app.getUrl()}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(user !== undefined && { authorization: `Bearer ${user}` }),
      },
      body: JSON.stringify({ query }),
    });
    expect(response.headers.get('cache-status')).toBeNull();
    const { data, errors } = (await response.json()) as { data: unknown; errors?: unknown };
    expect(errors).toBeUndefined();
    return data;
  };
  /** How many reads of the database `work` costs. */
  const costOf = async (work: () => Promise<unknown>): Promise<number> => {
    const before = database.reads;
    await work();
    return database.reads - before;
  };
  const CATALOGUE = '{ books { title author inStock } }';

  it('answers first from the databases, then from the cache, also across the wire', async () => {
    const first = await ask('ann', CATALOGUE);
    expect(first.books).toHaveLength(3);
    expect(await costOf(() => ask('ann', CATALOGUE))).toBe(0);
    expect(await ask('bob', CATALOGUE)).toEqual(first);
  });

  it('reads an author once for all their books', async () => {
    // The list, two authors, and the stock of three books.
    expect(await costOf(() => ask('ann', CATALOGUE))).toBe(1 + 2 + 3);
  });

  it('gives each user a shelf of their own, and evicts only that', async () => {
    const shelf = async (user?: string) => (await ask(user, '{ shelf }')).shelf;
    expect([await shelf('ann'), await shelf('bob')]).toEqual([[], []]);
    await ask('ann', 'mutation { putOnShelf(bookId: 1) }');
    expect(await costOf(() => shelf('bob'))).toBe(0);
    expect(await shelf('ann')).toEqual(['1']);
    expect(await costOf(() => shelf('ann'))).toBe(0);
    expect(await shelf()).toEqual([]);
  });

  it('evicts by the event of the warehouse what an order has changed, and nothing else', async () => {
    await ask('ann', CATALOGUE);
    expect(await ask('ann', 'mutation { order(bookId: 2) }')).toEqual({ order: true });
    const stock = async () =>
      (await ask('bob', '{ books { inStock } }')).books.map(
        ({ inStock }: { inStock: number }) => inStock,
      );
    // An event is on its way when the mutation has been answered.
    for (let round = 0; round < 100 && (await stock())[1] !== 0; round++) await pause(10);
    expect(await stock()).toEqual([3, 0, 0]);
    expect(await costOf(() => ask('ann', CATALOGUE))).toBe(0);
    expect(await ask('ann', 'mutation { order(bookId: 2) }')).toEqual({ order: false });
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
