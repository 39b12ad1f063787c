import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { deserialize, serialize } from 'node:v8';
import type { OpenStorage } from '../../lib/core/storage.js';
import { redisStorage } from '../../lib/redis.js';
import type { ServerProcess } from '../support/servers/process.js';
import { cli, startRedis, until } from '../support/servers/redis.js';
import { at, collect, entry, scope, sleep, testHost } from './support.js';

/** On the scale of the times of entries. */
const now = (): number => testHost().clock.monotonic();

let server: ServerProcess;
let storage: OpenStorage;
let other: OpenStorage;

beforeAll(async () => {
  server = await startRedis();
}, 60_000);
afterAll(() => server.stop());

beforeEach(async () => {
  await cli(server.port, 'flushall');
  const driver = (): OpenStorage =>
    redisStorage({ url: `redis://127.0.0.1:${server.port}`, timeout: '2s' }).open(testHost());
  storage = driver();
  other = driver();
});
afterEach(async () => {
  await storage.close();
  await other.close();
});

const TENANTS = [
  '*',
  '[ab]',
  '{x}',
  'a:b',
  '..',
  'a\r\nFLUSHALL\r\n',
  '%',
  '\0',
  '😀',
  'a',
  'ab',
  '/',
  '|',
  '#',
  '__proto__',
];

describe('one server', () => {
  test('S4 P10 a value comes back, a miss is undefined', async () => {
    expect(await storage.read(at('k'))).toBeUndefined();
    await storage.write(at('k'), entry({ a: 1 }, { tags: ['t'], loadMs: 3 }));
    const found = await other.read(at('k'));
    expect(found).toMatchObject({
      value: { a: 1 },
      ttlMs: 60_000,
      sliding: false,
      tags: ['t'],
      loadMs: 3,
    });
    expect(found!.freshUntil - now()).toBeGreaterThan(59_000);
    expect(found!.freshUntil - now()).toBeLessThan(60_500);
  });

  test('PC-17 a binary serializer of one’s own works on a server', async () => {
    const binary = {
      name: 'v8',
      serialize: (value: unknown) =>
        Buffer.concat([Buffer.of(0xff, 0xfe, 0x00, 0xc3, 0x28), serialize(value)]),
      deserialize: (bytes: Uint8Array) => deserialize(bytes.subarray(5)) as unknown,
    };
    const url = `redis://127.0.0.1:${server.port}`;
    const mine = redisStorage({ url }).open(testHost({ serializer: binary }));
    const value = { big: 1n, of: new Map([['ü', new Uint8Array([0, 255])]]) };
    await mine.write(at('k'), entry(value));
    expect((await mine.read(at('k')))?.value).toEqual(value);
    await mine.close();
  });

  test('S1 P7 an entry expires on the server, with all that was kept about it', async () => {
    await storage.write(
      at('k', { org: 'o', user: 'u' }),
      entry(1, { ttlMs: 1_000, tags: ['a', 'b'] }),
    );
    expect(await other.count(scope('global'))).toBe(1);
    await sleep(1_010);
    expect(await other.read(at('k', { org: 'o', user: 'u' }))).toBeUndefined();
    expect(await other.count(scope('global'))).toBe(0);
    await until(
      async () => (await cli(server.port, 'dbsize')) === '0',
      'the server has dropped all',
    );
  });

  test('S1 an entry that comes back from a snapshot has what was left of its life, and all of it once it is read', async () => {
    const restored = { ttlMs: 60_000, remainingMs: 1_000, sliding: true };
    await storage.write(at('read'), entry(1, restored));
    await storage.write(at('unread'), entry(1, restored));
    expect(await other.read(at('read'))).toMatchObject({ value: 1, ttlMs: 60_000 });
    await sleep(1_010);
    expect(await other.read(at('unread'))).toBeUndefined();
    expect(await other.read(at('read'), { peek: true })).toMatchObject({ value: 1 });
  });

  test('S1 within its grace an entry is stale, listed nowhere and not counted', async () => {
    await storage.write(at('k'), entry(1, { ttlMs: 100, graceMs: 5000 }));
    await sleep(120);
    const found = (await other.read(at('k')))!;
    expect(found.freshUntil).toBeLessThanOrEqual(now());
    expect(found.staleUntil).toBeGreaterThan(now() + 4000);
    expect(await other.count(scope('global'))).toBe(0);
    expect(await collect(other.list(scope('global'), { deep: true }))).toEqual([]);
    expect(await other.remove(at('k'))).toBe(false);
  });

  test('forever has no expiry, and neither has what it needs', async () => {
    await storage.write(at('a', { org: 'o' }), entry(1, { ttlMs: 100, tags: ['t'] }));
    await storage.write(at('k', { org: 'o' }), entry(1, { ttlMs: Infinity, tags: ['t'] }));
    await sleep(200);
    expect((await other.read(at('k', { org: 'o' })))!.freshUntil).toBe(Infinity);
    expect(await other.evictTags(scope('global'), ['t'])).toBe(1);
  });

  test('S3 P5 what was removed, evicted or cleared is gone everywhere', async () => {
    const user = at('k', { org: 'o', user: 'u' });
    for (const remove of [
      () => storage.remove(user),
      () => storage.evictScope(user.scope),
      () => storage.evictScope(scope({ org: 'o' })),
      () => storage.evictScope(scope('global')),
      () => storage.evictTags(scope({ org: 'o' }), ['t']),
      () => storage.evictTags(scope('global'), ['x', 't']),
      () => storage.clear(),
    ]) {
      await other.write(user, entry(1, { tags: ['t'] }));
      expect(await storage.count(scope('global'))).toBe(1);
      await remove();
      expect(await other.read(user)).toBeUndefined();
      expect(await other.count(scope('global'))).toBe(0);
    }
  });

  test('S2 S5 P1 scopes with any ids stay apart in reads, lists, counts and evictions', async () => {
    for (const id of TENANTS) {
      await storage.write(at(id, { org: id }), entry(id, { tags: [id] }));
      await storage.write(at('k', { org: id, user: id }), entry(id, { tags: [id, 'all'] }));
    }
    await storage.write(at('k'), entry('global'));
    for (const [index, id] of TENANTS.entries()) {
      const org = scope({ org: id });
      expect(await other.count(org)).toBe(2);
      expect((await other.read(at(id, { org: id })))!.value).toBe(id);
      const listed = await collect(other.list(org, { deep: true }));
      expect(
        listed
          .map(({ address, entry: found }) => [address.scope.id, address.key, found.value])
          .sort(),
      ).toEqual(
        [
          [org.id, id, id],
          [scope({ org: id, user: id }).id, 'k', id],
        ].sort(),
      );
      expect(await collect(other.list(org, { deep: false }))).toHaveLength(1);
      expect(await other.evictTags(org, ['all'])).toBe(1);
      expect(await other.evictScope(org)).toBe(1);
      expect(await other.count(scope('global'))).toBe(1 + 2 * (TENANTS.length - index - 1));
    }
    expect((await other.read(at('k')))!.value).toBe('global');
  });

  test('P14 clear leaves other namespaces and foreign keys alone', async () => {
    await cli(server.port, 'set', 'nsc:other', 'x');
    const neighbours = ['*', 'test*', 'tes', 'test:', '{test}'].map((namespace) =>
      redisStorage({ url: `redis://127.0.0.1:${server.port}` }).open(testHost({ namespace })),
    );
    for (const one of neighbours) await one.write(at('k'), entry(one.type));
    await storage.write(at('k'), entry(1));
    for (const [index, one] of neighbours.entries()) {
      await one.clear();
      expect(await one.read(at('k'))).toBeUndefined();
      expect(await storage.read(at('k'))).toBeDefined();
      for (const later of neighbours.slice(index + 1))
        expect(await later.read(at('k'))).toBeDefined();
    }
    await storage.clear();
    expect(await cli(server.port, 'get', 'nsc:other')).toBe('x');
    for (const one of neighbours) await one.close();
  });

  test('P1 P4 odd keys are each their own', async () => {
    const keys = [
      'a',
      'A',
      'a|b',
      '\ud800',
      '\ud801',
      '\ufffd',
      'x'.repeat(60_000),
      `${'x'.repeat(59_999)}y`,
      '{a}',
      '\0',
      'é',
      'e\u0301',
      '#a',
    ];
    await storage.writeMany(keys.map((key) => [at(key, { org: 'o' }), entry(key)]));
    const found = await other.readMany(keys.map((key) => at(key, { org: 'o' })));
    expect(found.map((one) => String(one?.value).slice(-20))).toEqual(
      keys.map((key) => key.slice(-20)),
    );
    expect(await other.count(scope({ org: 'o' }))).toBe(keys.length);
    expect(
      new Set(
        (await collect(other.list(scope({ org: 'o' }), { deep: false }))).map(
          ({ address }) => address.key,
        ),
      ),
    ).toEqual(new Set(keys));
    expect(await other.removeMany(keys.map((key) => at(key, { org: 'o' })))).toBe(keys.length);
  });

  test('tags: rewritten without one, an entry outlives its eviction', async () => {
    await storage.write(at('k'), entry(1, { tags: ['t', 'u'] }));
    await storage.write(at('k'), entry(2, { tags: ['u'] }));
    expect(await other.evictTags(scope('global'), ['t'])).toBe(0);
    expect((await other.read(at('k')))!.value).toBe(2);
    await storage.write(at('l'), entry(3, { tags: ['t'] }));
    expect((await other.read(at('l')))!.value).toBe(3);
    expect(await other.evictTags(scope('global'), ['t', 'u'])).toBe(2);
    expect(await other.read(at('k'))).toBeUndefined();
  });

  test('sliding reads give the full life again, peeks do not', async () => {
    await storage.write(
      at('k', { org: 'o' }),
      entry(1, { ttlMs: 1_000, sliding: true, tags: ['t'] }),
    );
    for (let round = 0; round < 4; round++) {
      await sleep(400);
      expect(await other.read(at('k', { org: 'o' }))).toBeDefined();
    }
    expect(await other.count(scope({ org: 'o' }))).toBe(1);
    await sleep(400);
    expect(await other.read(at('k', { org: 'o' }), { peek: true })).toBeDefined();
    await sleep(650);
    expect(await other.read(at('k', { org: 'o' }))).toBeUndefined();
  });

  test('touch gives a new life, shorter or longer, and nothing to what is not there', async () => {
    expect(await storage.touch(at('k'), 1000)).toBe(false);
    await storage.write(at('k'), entry({ a: 1 }, { ttlMs: 1_000 }));
    expect(await other.touch(at('k'), 60_000)).toBe(true);
    await sleep(1_020);
    expect(await storage.read(at('k'))).toMatchObject({ value: { a: 1 }, ttlMs: 60_000 });
    expect(await other.touch(at('k'), 50)).toBe(true);
    await sleep(60);
    expect(await storage.read(at('k'))).toBeUndefined();
  });

  test('change is atomic over two processes, keeps the expiry when asked', async () => {
    const add = (one: OpenStorage): Promise<unknown> =>
      Promise.resolve(
        one.change(at('k'), (current) => ({
          write: entry(((current?.value as number | undefined) ?? 0) + 1),
        })),
      );
    await Promise.all(Array.from({ length: 40 }, (_, index) => add(index % 2 ? storage : other)));
    expect((await storage.read(at('k')))!.value).toBe(40);
    await storage.write(at('r'), entry(1, { ttlMs: 1000 }));
    await sleep(300);
    await other.change(at('r'), () => ({ write: entry(2), ttl: 'remaining' }));
    const found = (await storage.read(at('r')))!;
    expect(found.value).toBe(2);
    expect(found.freshUntil - now()).toBeLessThan(720);
    expect(await other.change(at('r'), () => ({ keep: true }))).toEqual({ keep: true });
  });

  test('increment is exact under contention, keeps the first life, refuses what is no number', async () => {
    const totals = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        (index % 2 ? storage : other).increment(at('n'), 1, 5000),
      ),
    );
    expect([...totals].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 200 }, (_, index) => index + 1),
    );
    await storage.write(at('s'), entry('x'));
    await expect(storage.increment(at('s'), 1, 1000)).rejects.toThrow(
      /a string, which cannot be counted with/,
    );
  });

  test('expire makes entries stale within their grace, and removes those without', async () => {
    await storage.write(at('g', { org: 'o' }), entry(1, { graceMs: 5000, tags: ['t'] }));
    await storage.write(at('h', { org: 'o' }), entry(1));
    await storage.write(at('u', { org: 'p' }), entry(1, { graceMs: 5000, tags: ['t'] }));
    expect(await other.expire(scope({ org: 'o' }), undefined)).toBe(2);
    expect((await other.read(at('g', { org: 'o' })))!.freshUntil).toBeLessThanOrEqual(now());
    expect(await other.read(at('h', { org: 'o' }))).toBeUndefined();
    expect(await other.count(scope('global'))).toBe(1);
    expect(await other.expire(scope('global'), ['t'])).toBe(1);
    expect((await storage.read(at('u', { org: 'p' })))!.freshUntil).toBeLessThanOrEqual(now());
    await storage.write(at('g', { org: 'o' }), entry(2, { tags: ['t'] }));
    expect((await other.read(at('g', { org: 'o' })))!.freshUntil).toBeGreaterThan(now());
  });

  test('removeIdle takes what nobody read, removeExpired what has ended', async () => {
    await storage.write(at('idle', { org: 'o' }), entry(1));
    await storage.write(at('read', { org: 'o' }), entry(1));
    await storage.write(at('short'), entry(1, { ttlMs: 500 }));
    for (let round = 0; round < 7; round++) {
      await sleep(500);
      await other.read(at('read', { org: 'o' }));
    }
    expect(await other.removeIdle(scope('global'), 1000)).toBe(1);
    expect(await storage.read(at('read', { org: 'o' }))).toBeDefined();
    expect(await storage.read(at('idle', { org: 'o' }))).toBeUndefined();
    expect(await storage.removeExpired()).toBeLessThanOrEqual(1);
  }, 15_000);

  test('large evictions count exactly, also one inside another, and give the space back', async () => {
    const write = (
      org: string,
      user: string,
      count: number,
      tags: string[] = [],
    ): Promise<unknown> =>
      Promise.resolve(
        storage.writeMany(
          Array.from(
            { length: count },
            (_, index) => [at(`k${index}`, { org, user }), entry(index, { tags })] as const,
          ),
        ),
      );
    await write('o', 'a', 1000, ['t', 'both']);
    await write('o', 'b', 700, ['u', 'both']);
    await write('o', 'c', 300);
    expect(await other.count(scope({ org: 'o' }))).toBe(2000);
    const [a, b] = await Promise.all([
      other.evictScope(scope({ org: 'o', user: 'a' })),
      other.evictTags(scope('global'), ['u', 'both']),
    ]);
    expect([a + b, await storage.count(scope({ org: 'o' }))]).toEqual([1700, 300]);
    await write('o', 'a', 10, ['t']);
    expect(await other.evictScope(scope({ org: 'o' }))).toBe(310);
    expect(await storage.count(scope('global'))).toBe(0);
    expect(Number(await cli(server.port, 'dbsize'))).toBeLessThan(20);
  });

  test('large evictions at once, by two processes, count exactly', async () => {
    const users = Array.from({ length: 12 }, (_, n) => `u${n}`);
    const sizes = users.map((_, n) => 300 + n);
    const tags = (n: number): string[] => (n % 3 === 2 ? ['t', `x${n}`] : []);
    await Promise.all(
      users.map((user, n) =>
        storage.writeMany(
          Array.from(
            { length: sizes[n]! },
            (_, k) => [at(`k${k}`, { org: 'o', user }), entry(k, { tags: tags(n) })] as const,
          ),
        ),
      ),
    );
    const counts = await Promise.all(
      users.map((user, n) => {
        const by = n % 2 ? storage : other;
        const it = scope({ org: 'o', user });
        return n % 3 === 2 ? by.evictTags(it, ['t', `x${n}`]) : by.evictScope(it);
      }),
    );
    expect(counts).toEqual(sizes);
    expect(Number(await cli(server.port, 'dbsize'))).toBeLessThan(20);
    expect(await cli(server.port, 'keys', '*}:c:*')).toBe('');
  }, 60_000);

  test('S6 P8 any lost piece of metadata can only cause misses', async () => {
    const place = at('k', { org: 'o', user: 'u' });
    const prepare = async (): Promise<void> => {
      await cli(server.port, 'flushall');
      await storage.write(place, entry('old', { tags: ['t'] }));
      await storage.write(at('other', { org: 'o' }), entry(1, { tags: ['t', 'u'] }));
    };
    const evictions = [
      () => other.evictTags(scope({ org: 'o' }), ['t']),
      () => other.evictScope(scope({ org: 'o' })),
      () => other.evictScope(scope('global')),
      () => other.evictTags(scope('global'), ['t']),
    ];
    await prepare();
    const kinds = (await cli(server.port, 'keys', '*')).split('\n').length;
    for (const evict of evictions)
      for (let lost = 0; lost < kinds; lost++)
        for (const when of ['before', 'after'] as const) {
          await prepare();
          const keys = (await cli(server.port, 'keys', '*')).split('\n').sort();
          if (when === 'before') await cli(server.port, 'del', keys[lost]!);
          await evict();
          if (when === 'after') await cli(server.port, 'del', keys[lost]!);
          await storage.write(at('new', { org: 'o', user: 'u' }), entry(1, { tags: ['t'] }));
          expect(await storage.read(place)).toBeUndefined();
          expect(await other.read(at('new', { org: 'o', user: 'u' }))).toBeDefined();
        }
  }, 60_000);

  test('P1 a value moved to another key is a miss', async () => {
    await storage.write(at('mine', { org: 'o' }), entry('secret'));
    await storage.write(at('yours', { org: 'o' }), entry('x'));
    const keys = (await cli(server.port, 'keys', '*e:*')).split('\n').sort();
    await cli(server.port, 'rename', keys[0]!, keys[1]!);
    expect(await other.read(at('yours', { org: 'o' }))).toBeUndefined();
  });

  test('damaged and foreign bytes are misses; a foreign type is a fault on writing only', async () => {
    await storage.write(at('k'), entry({ a: 1 }));
    const key = (await cli(server.port, 'keys', '*e:*')).trim();
    const size = Number(await cli(server.port, 'strlen', key));
    for (let offset = 0; offset < size; offset++) {
      await storage.write(at('k'), entry({ a: 1 }));
      await cli(server.port, 'setrange', key, String(offset), '~');
      const found = await other.read(at('k'));
      if (found) expect(found.value).toEqual({ a: 1 });
    }
    await cli(server.port, 'set', key, 'E');
    expect(await other.read(at('k'))).toBeUndefined();
    await cli(server.port, 'del', key);
    await cli(server.port, 'lpush', key, 'x');
    expect(await other.read(at('k'))).toBeUndefined();
    await expect(storage.write(at('k'), entry(1))).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      message: expect.stringContaining('WRONGTYPE'),
    });
  }, 60_000);

  test('compression keeps values, and a bomb is a miss', async () => {
    const open = (compression: object): OpenStorage =>
      redisStorage({ url: `redis://127.0.0.1:${server.port}`, compression }).open(testHost());
    const [small, wide] = [
      open({ aboveBytes: 10, maxInflatedBytes: 1000 }),
      open({ aboveBytes: 10 }),
    ];
    await wide.write(at('k'), entry('x'.repeat(100_000)));
    expect(
      Number(await cli(server.port, 'strlen', (await cli(server.port, 'keys', '*e:*')).trim())),
    ).toBeLessThan(2000);
    expect((await other.read(at('k')))!.value).toBe('x'.repeat(100_000));
    expect(await small.read(at('k'))).toBeUndefined();
    await small.close();
    await wide.close();
  });

  test('a client handed in is used as it is and stays open, with a keyPrefix too', async () => {
    const { Redis } = await import('ioredis');
    const client = new Redis(server.port, { keyPrefix: 'app:{y}:' });
    const mine = redisStorage({ client }).open(testHost());
    await mine.write(at('k', { org: 'o' }), entry(1, { tags: ['t'] }));
    expect((await mine.read(at('k', { org: 'o' })))!.value).toBe(1);
    expect(await collect(mine.list(scope('global'), { deep: true }))).toHaveLength(1);
    expect(await mine.evictTags(scope('global'), ['t'])).toBe(1);
    expect(await cli(server.port, 'keys', 'nsc*')).toBe('');
    await mine.close();
    await mine.close();
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
  });

  test('a cache with eviction rules is refused', () => {
    const driver = redisStorage({ url: `redis://127.0.0.1:${server.port}` });
    expect(() => driver.open(testHost({ rules: [{ name: 'lru' }] }))).toThrow(/lru/);
  });
});
