import { jest } from '@jest/globals';
import { Logger, type INestApplication } from '@nestjs/common';
import { createApp, type PlatformName } from '../src/app.js';

// The database of the sample is slow on purpose; a test need not wait for it as long.
process.env.QUERY_MS = '15';

const HIT = /^nestjs-scoped-cache; hit; ttl=\d+$/;
const STORED = 'nestjs-scoped-cache; fwd=miss; stored';

interface Answer {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- what each route answers is what the tests are about
  readonly body: any;
  /** The `Cache-Status` header. */
  readonly cache: string | null;
}

/** One login on one device. */
class Client {
  constructor(
    readonly url: string,
    readonly headers: Record<string, string> = {},
  ) {}

  async send(method: string, path: string, body?: object): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers: { ...this.headers, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const cache = response.headers.get('cache-status');
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text), cache };
  }

  get(path: string): Promise<Answer> {
    return this.send('GET', path);
  }

  async logIn(org: string, name: string): Promise<Client> {
    const response = await fetch(`${this.url}/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ org, email: `${name}@${org}.test`, password: 'demo' }),
    });
    expect(response.status).toBe(200);
    const { token } = (await response.json()) as { token: string };
    const cookie = response.headers.get('set-cookie')!.split(';')[0]!;
    return new Client(this.url, { authorization: `Bearer ${token}`, cookie });
  }
}

describe.each<PlatformName>(['express', 'fastify'])('the multi-tenant sample on %s', (platform) => {
  let app: INestApplication;
  let anybody: Client;
  /** User 1 of acme, an administrator. */
  let ada: Client;
  /** User 1 of globex, an administrator. */
  let gao: Client;
  /** User 2 of acme, a member. */
  let alan: Client;

  beforeEach(async () => {
    app = await createApp(platform);
    app.useLogger(false);
    await app.listen(0, '127.0.0.1');
    anybody = new Client(await app.getUrl());
    [ada, gao, alan] = await Promise.all([
      anybody.logIn('acme', 'ada'),
      anybody.logIn('globex', 'gao'),
      anybody.logIn('acme', 'alan'),
    ]);
  });

  afterEach(() => app.close());

  it('starts without a warning', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const another = await createApp(platform);
    await another.init();
    await another.close();
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  const databaseReads = async (): Promise<number> =>
    (await anybody.get('/stats')).body.databaseReads as number;

  it('answers first from the database, then from the cache', async () => {
    const first = await ada.get('/me');
    const readsBefore = await databaseReads();
    const second = await ada.get('/me');
    expect(first.cache).toBe(STORED);
    expect(second.cache).toMatch(HIT);
    expect(second.body).toEqual(first.body);
    expect(await databaseReads()).toBe(readsBefore);
  });

  it('keeps users of the same id in two organizations apart, on every scoped route', async () => {
    for (const path of ['/me', '/orders', '/orders?status=open', '/dashboard', '/organization']) {
      const adas = await ada.get(path);
      const gaos = await gao.get(path);
      expect([path, gaos.cache]).toEqual([path, STORED]);
      expect(gaos.body).not.toEqual(adas.body);
      // Whoever came first or second: each hit is the client's own data.
      expect(await ada.get(path)).toEqual({ ...adas, cache: expect.stringMatching(HIT) });
      expect(await gao.get(path)).toEqual({ ...gaos, cache: expect.stringMatching(HIT) });
    }
    const [adasItems, gaosItems] = [
      await ada.get('/organization/top-items'),
      await gao.get('/organization/top-items'),
    ];
    expect(adasItems.body).not.toEqual(gaosItems.body);
  });

  it('keeps apart 200 requests of two users 1 at once, and loads each answer once', async () => {
    const readsBefore = await databaseReads();
    const clients = Array.from({ length: 200 }, (_, at) => (at % 2 === 0 ? ada : gao));
    const answers = await Promise.all(clients.map((client) => client.get('/me')));
    expect(answers.map(({ body }) => body.orgId)).toEqual(
      clients.map((client) => (client === ada ? 'acme' : 'globex')),
    );
    expect(await databaseReads()).toBe(readsBefore + 2);
  });

  it('shares what is of the organization among its users only', async () => {
    await ada.get('/organization');
    expect((await alan.get('/organization')).cache).toMatch(HIT);
    expect((await gao.get('/organization')).cache).toBe(STORED);
  });

  it('shares what is global among all, logged in or not', async () => {
    expect((await anybody.get('/rates')).cache).toBe(STORED);
    expect((await ada.get('/rates')).cache).toMatch(HIT);
    expect((await gao.get('/rates')).cache).toMatch(HIT);
  });

  it('keeps two sessions of one user apart', async () => {
    const phone = await anybody.logIn('acme', 'ada');
    await ada.get('/dashboard');
    expect((await phone.get('/dashboard')).cache).toBe(STORED);

    expect((await phone.send('PUT', '/dashboard/currency', { currency: 'USD' })).status).toBe(200);
    expect(await phone.get('/dashboard')).toMatchObject({
      cache: STORED,
      body: { currency: 'USD' },
    });
    expect(await ada.get('/dashboard')).toMatchObject({
      cache: expect.stringMatching(HIT),
      body: { currency: 'EUR' },
    });
  });

  it('runs session routes uncached for those without a session, foreign and made-up ones included', async () => {
    await ada.get('/dashboard');
    for (const cookie of ['sid=made-up', gao.headers['cookie']!]) {
      const stranger = new Client(anybody.url, { ...ada.headers, cookie });
      expect(await stranger.get('/dashboard')).toMatchObject({
        status: 200,
        cache: 'nestjs-scoped-cache; fwd=bypass; detail=missing-session',
      });
    }
  });

  it('evicts by name: a renamed user sees the new name, and nobody else loses anything', async () => {
    await Promise.all([ada.get('/me'), gao.get('/me'), ada.get('/orders')]);
    await ada.send('PATCH', '/me', { name: 'Countess' });
    expect(await ada.get('/me')).toMatchObject({ cache: STORED, body: { name: 'Countess' } });
    expect((await ada.get('/orders')).cache).toMatch(HIT);
    expect(await gao.get('/me')).toMatchObject({
      cache: expect.stringMatching(HIT),
      body: { name: 'Gao' },
    });
  });

  it('evicts by tags: a new order shows in lists, dashboard and figures, of one user and organization', async () => {
    const paths = ['/orders', '/orders?status=open', '/dashboard', '/organization'];
    for (const path of paths) for (const client of [ada, alan, gao]) await client.get(path);
    const before = (await ada.get('/orders')).body.length as number;

    const placed = await ada.send('POST', '/orders', { item: 'Lamp', cents: 1_000 });
    expect(placed.status).toBe(201);

    for (const path of paths) expect([path, (await ada.get(path)).cache]).toEqual([path, STORED]);
    expect((await ada.get('/orders')).body).toHaveLength(before + 1);
    expect((await alan.get('/orders')).cache).toMatch(HIT);
    expect((await gao.get('/organization')).cache).toMatch(HIT);
  });

  it('evicts a whole organization for its administrator, while the other one stays cached', async () => {
    const paths = ['/me', '/orders', '/dashboard', '/organization'];
    for (const path of paths) for (const client of [ada, alan, gao]) await client.get(path);
    await ada.get('/organization/top-items');

    expect((await alan.send('DELETE', '/organization/cache')).status).toBe(403);
    expect((await alan.get('/me')).cache).toMatch(HIT);

    const evicted = await ada.send('DELETE', '/organization/cache');
    // Three routes for each of two users, and two entries of the organization itself.
    expect(evicted).toMatchObject({ status: 200, body: { evicted: 8 } });

    for (const path of paths)
      expect([path, (await gao.get(path)).cache]).toEqual([path, expect.stringMatching(HIT)]);
    for (const path of paths) expect([path, (await ada.get(path)).cache]).toEqual([path, STORED]);
    expect((await alan.get('/me')).cache).toBe(STORED);
  });

  it('forgets a session with its logout, and keeps what is of the user', async () => {
    await ada.get('/dashboard');
    await ada.get('/me');
    expect((await ada.send('POST', '/logout')).body).toEqual({ evicted: 1 });
    expect((await ada.get('/me')).cache).toMatch(HIT);
    expect((await ada.get('/dashboard')).cache).toContain('fwd=bypass');
  });

  it('takes no ids from the client: headers, query and body change nothing', async () => {
    await gao.get('/me');
    const forger = new Client(anybody.url, {
      ...ada.headers,
      'x-org-id': 'globex',
      orgid: 'globex',
    });
    const answer = await forger.get('/me?orgId=globex&org=globex');
    expect(answer.body).toMatchObject({ orgId: 'acme', name: 'Ada' });
  });

  it('keeps query parameters that do not matter out of the key', async () => {
    await ada.get('/orders?status=open');
    expect((await ada.get('/orders?utm_source=mail&status=open')).cache).toMatch(HIT);
    expect((await ada.get('/orders?status=paid')).cache).toBe(STORED);
  });

  it('stores no errors', async () => {
    for (let round = 0; round < 2; round++) {
      const answer = await ada.get('/orders/999999');
      expect(answer.status).toBe(404);
      expect(answer.cache ?? '').not.toContain('hit');
    }
    expect((await anybody.get('/me')).status).toBe(401);
  });

  it('counts hits and misses, and what the database was spared', async () => {
    const { body: before } = await anybody.get('/stats');
    await ada.get('/me');
    await ada.get('/me');
    await ada.get('/me');
    const { body: after } = await anybody.get('/stats');
    expect(after.hits - before.hits).toBe(2);
    expect(after.misses - before.misses).toBe(1);
    expect(after.databaseReads - before.databaseReads).toBe(1);
    expect(after.totalKeys - before.totalKeys).toBe(1);
  });
});
