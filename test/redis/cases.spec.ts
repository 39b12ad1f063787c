import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import type { CacheOptions } from '../../lib/core/cache-options.js';
import type { Cache } from '../../lib/core/cache.js';
import type { CacheStorage } from '../../lib/core/storage.js';
import { fileStorage } from '../../lib/file.js';
import { memoryStorage, tieredStorage, type Serializer } from '../../lib/index.js';
import { redisStorage, type RedisStorageOptions } from '../../lib/redis.js';
import { deferred } from '../../lib/testing/deferred.js';
import { mapStorage } from '../../lib/testing/map-storage.js';
import { makeCache } from '../support/make-cache.js';
import { freePort, type ServerProcess } from '../support/servers/process.js';
import { startProxy } from '../support/servers/proxy.js';
import { cli, startRedis, until } from '../support/servers/redis.js';
import { sleep } from './support.js';

let server: ServerProcess;
let caches: Cache[] = [];
const directory = mkdtempSync(join(tmpdir(), 'nsc-cases-'));

beforeAll(async () => {
  server = await startRedis();
}, 60_000);
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(() => cli(server.port, 'flushall'));
afterEach(async () => {
  await Promise.all(caches.map((cache) => cache.close()));
  caches = [];
});

function make(options: CacheOptions): Cache {
  const cache = makeCache({ onStorageError: 'throw', ...options });
  caches.push(cache);
  return cache;
}

const redis = (options: Partial<RedisStorageOptions> = {}): ReturnType<typeof redisStorage> =>
  redisStorage({ url: `redis://127.0.0.1:${server.port}`, timeout: '2s', ...options });

/** What clients send while `act` runs, in order; what scripts call is not theirs. */
async function sentDuring(act: () => Promise<unknown>): Promise<string[]> {
  const client = new Redis(server.port, '127.0.0.1');
  const monitor = await client.monitor();
  const sent: string[] = [];
  monitor.on('monitor', (_: string, args: string[], source: string) => {
    if (source !== 'lua') sent.push(args[0]!.toLowerCase());
  });
  await act();
  await client.echo('end');
  await until(() => sent.includes('echo'), 'the monitor has seen all');
  monitor.disconnect();
  client.disconnect();
  return sent.filter((name) => !['echo', 'client', 'info', 'hello', 'time'].includes(name));
}

/** Every kind of storage, by name. */
const BACKENDS: readonly (readonly [string, () => CacheStorage])[] = [
  ['memory', () => memoryStorage()],
  ['file', () => fileStorage({ directory: join(directory, 'cache') })],
  ['a minimal one', () => mapStorage()],
  ['redis', () => redis()],
  ['redis, compressed', () => redis({ prefix: 'c', compression: { aboveBytes: 0 } })],
  ['memory before redis', () => tieredStorage({ near: memoryStorage(), far: redis() })],
];

describe('on every backend', () => {
  test.each(BACKENDS)('CA-46 %s has figures', async (_, storage) => {
    const cache = make({ storage: storage() });
    await cache.clear();
    await cache.set('k', 1);
    await cache.get('k');
    await cache.get('nothing');
    await cache.delete('k');
    await cache.setMany({ a: 1, b: 2 }, { scope: { org: 'o' } });
    await cache.evictScope({ org: 'o' });
    await cache.set('stays', 1);
    const stats = await cache.stats();
    expect(stats).toMatchObject({ hits: 1, misses: 1, sets: 4, deletes: 1, totalKeys: 1 });
    expect(stats.hitRate).toBe(0.5);
    expect(stats.errors).toBe(0);
    expect(stats.storageType).toEqual(expect.any(String));
    expect(stats.evictions).toBeDefined();
  });

  test.each(BACKENDS)(
    'PC-17 %s keeps what a serializer of binary output makes',
    async (backend, storage) => {
      // Not UTF-8, with zero bytes, and every byte there is.
      const every = Buffer.from(Array.from({ length: 256 }, (__, byte) => byte));
      let read = 0;
      const serializer: Serializer = {
        name: 'packed',
        serialize: (value) => Buffer.concat([every, serialize(value)]),
        deserialize: (bytes) => {
          expect(Buffer.from(bytes.subarray(0, 256)).equals(every)).toBe(true);
          read++;
          return deserialize(bytes.subarray(256));
        },
      };
      const cache = make({ storage: storage(), serializer });
      await cache.clear();
      const value = { n: 1, bytes: new Uint8Array([0, 255, 128]), text: 'ü\0\r\n', list: [null] };
      const where = { scope: { org: 'o' }, tags: ['t'] };
      await cache.set('k', value, where);
      expect(await cache.get('k', where)).toEqual(value);
      expect(await cache.getOrSet('l', () => value, where)).toEqual(value);
      expect(await cache.getMany(['k', 'l'], where)).toEqual([value, value]);
      expect(await cache.update<number>('n', (n = 0) => n + 1)).toBe(1);
      const listed = [];
      for await (const line of cache.entries({ scope: { org: 'o' } })) listed.push(line.value);
      expect(listed).toEqual([value, value]);
      if (backend !== 'memory') expect(read).toBeGreaterThan(0);
    },
  );
});

describe('expireTags and expireScope', () => {
  const stays = BACKENDS.filter(([name]) => name !== 'a minimal one');
  test.each(stays)(
    'on %s leave a value that may serve stale within its grace',
    async (_, storage) => {
      const cache = make({ storage: storage() });
      const where = { scope: { org: 'expiring', user: 'u' } };
      for (const key of ['a', 'b'])
        await cache.set(key, key, { ...where, tags: [key], ttl: 60, grace: '1h' });
      expect(await cache.expireTags('a', { scope: { org: 'expiring' } })).toBe(1);
      expect(await cache.getMany(['a', 'b'], where)).toEqual([undefined, 'b']);
      expect(await cache.expireScope({ org: 'expiring' })).toBe(1);
      expect(await cache.getMany(['a', 'b'], where)).toEqual([undefined, undefined]);
      expect(await cache.getMany(['a', 'b'], { ...where, allowStale: true })).toEqual(['a', 'b']);
      const failing = () => Promise.reject(new Error('the source is down'));
      expect(await cache.getOrSet('a', failing, where)).toBe('a');
      expect(await cache.getOrSet('b', () => 'new', where)).toBe('new');
    },
  );
});

describe('a Redis that others use too', () => {
  test('CA-31 foreign and malformed keys survive every eviction and listing, and are left alone', async () => {
    const cache = make({ storage: redis() });
    const where = { scope: { org: 'o', user: 'u' }, tags: ['t'] };
    await cache.set('k', 1, where);
    await cache.set('g', 1, { tags: ['t'] });
    const [entry] = (await cli(server.port, 'keys', '*}:e:org:o*')).split('\n') as [string];
    const bucket = entry.slice(0, entry.indexOf('}') + 1);
    const foreign = [
      'app:users',
      'org:o',
      'nsc',
      'nsc:',
      'nsc:cache',
      'nsc:other:{0-0}:e:org:o/user:u|k',
      'nsc2:cache:e',
      `${bucket}`,
      `${bucket}:`,
      `${bucket}:e:`,
      `${bucket}:e:org:o`,
      `${bucket}:e:org:o/user:u|not ours`,
      `${bucket}:x:org:o`,
      `${bucket}:i:made-up`,
      '{"json":1}',
      'a\r\nb',
    ];
    const client = new Redis(server.port, '127.0.0.1');
    for (const [index, key] of foreign.entries())
      if (index % 3 === 0) await client.rpush(key, 'foreign');
      else if (index % 3 === 1) await client.hset(key, 'foreign', '1');
      else await client.set(key, Buffer.from([0, 255, 1]));
    const before = await Promise.all(foreign.map((key) => client.dumpBuffer(key)));
    const listed = [];
    for await (const key of cache.keys({ deep: true })) listed.push(key);
    expect(listed.sort()).toEqual(['g', 'k']);
    expect(await cache.size()).toBe(2);
    expect(await cache.evictScope({ org: 'o' })).toBe(1);
    expect(await cache.evictTags('t')).toBe(1);
    expect(await cache.evictScope('global')).toBe(0);
    expect(await cache.removeExpired()).toBe(0);
    expect(await cache.removeIdle(1)).toBe(0);
    await cache.clear();
    const after = await Promise.all(foreign.map((key) => client.dumpBuffer(key)));
    expect(after.map((bytes) => bytes?.toString('hex'))).toEqual(
      before.map((bytes) => bytes?.toString('hex')),
    );
    client.disconnect();
  });

  test('CA-51 PC-31 clear removes what has our prefix and namespace, by no FLUSHDB, no KEYS and no SCAN', async () => {
    const mine = make({ storage: redis({ prefix: 'mine' }) });
    const [namespace, prefix] = [
      make({ storage: redis({ prefix: 'mine' }), namespace: 'cache2' }),
      make({ storage: redis({ prefix: 'min' }) }),
    ];
    for (const cache of [mine, namespace, prefix])
      for (let index = 0; index < 300; index++) await cache.set(`k${index}`, index, { ttl: 60 });
    await cli(server.port, 'set', 'mine', 'theirs');
    await cli(server.port, '-n', '1', 'set', 'other-db', 'theirs');
    const sent = await sentDuring(() => mine.clear());
    expect(sent.filter((name) => /flush|^keys$|^scan$/.test(name))).toEqual([]);
    expect(await mine.size()).toBe(0);
    expect([await namespace.size(), await prefix.size()]).toEqual([300, 300]);
    expect(await cli(server.port, 'get', 'mine')).toBe('theirs');
    expect(await cli(server.port, '-n', '1', 'get', 'other-db')).toBe('theirs');
  });

  test('PC-31 set, get, delete, and a TTL that the server keeps by itself', async () => {
    const cache = make({ storage: redis() });
    await cache.set('k', { a: 1 }, { ttl: 2 });
    const [key] = (await cli(server.port, 'keys', '*}:e:*')).split('\n') as [string];
    const left = Number(await cli(server.port, 'pttl', key));
    expect(left).toBeGreaterThan(1_000);
    expect(left).toBeLessThanOrEqual(2_000);
    expect(await cache.get('k')).toEqual({ a: 1 });
    await sleep(2_020);
    expect(await cache.get('k')).toBeUndefined();
    expect(await cli(server.port, 'exists', key)).toBe('0');
    await cache.set('k', 1, { ttl: 'forever' });
    expect(await cli(server.port, 'pttl', key)).toBe('-1');
    expect(await cache.delete('k')).toBe(true);
    expect(await cache.delete('k')).toBe(false);
    expect(await cli(server.port, 'exists', key)).toBe('0');
  });
});

describe('round trips', () => {
  test('RC-30 a sliding read takes its caller one round trip, and a set with all its tracking is one command', async () => {
    const proxy = await startProxy(server.port);
    const cache = make({
      storage: redis({ url: `redis://127.0.0.1:${proxy.port}`, timeout: '2s' }),
    });
    const where = { scope: { org: 'o', user: 'u' } };
    try {
      // The server learns the scripts.
      await cache.set('warm', 1, { ...where, sliding: true });
      await cache.get('warm', where);
      await sleep(50);
      const set = await sentDuring(() =>
        cache.set('k', 1, { ...where, ttl: 2, sliding: true, tags: ['a', 'b'] }),
      );
      expect(set).toEqual(['evalsha']);
      await sleep(1_000);
      proxy.delay(300);
      const start = performance.now();
      let tookMs = 0;
      const read = await sentDuring(async () => {
        expect(await cache.get('k', where)).toBe(1);
        tookMs = performance.now() - start;
        await sleep(400);
      });
      expect(tookMs).toBeLessThan(590);
      expect(tookMs).toBeGreaterThan(295);
      // The renewal went after the read on the same connection; nobody waited for it.
      expect(read).toEqual(['mget', 'evalsha']);
      const [key] = (await cli(server.port, 'keys', '*}:e:*|k')).split('\n') as [string];
      expect(Number(await cli(server.port, 'pttl', key))).toBeGreaterThan(1_000);
    } finally {
      await proxy.stop();
    }
  });
});

describe('many at once', () => {
  test('setMany, getMany and getOrSetMany of one server are one command each way', async () => {
    const cache = make({ storage: redis() });
    const where = { scope: { org: 'o', user: 'u' } };
    const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    await cache.setMany(
      keys.map((key) => [key, 0] as const),
      where,
    );
    const set = await sentDuring(() =>
      cache.setMany(
        keys.map((key) => [key, 1] as const),
        where,
      ),
    );
    expect(set).toEqual(['evalsha']);
    const read = await sentDuring(() => cache.getMany(keys, where));
    expect(read).toEqual(['mget']);
    const loaded = await sentDuring(() =>
      cache.getOrSetMany(keys, () => Promise.reject(new Error('no load')), where),
    );
    expect(loaded).toEqual(['mget']);
  });
});

describe('inherited reads', () => {
  test('look at session, user, org and global in one command', async () => {
    const cache = make({ storage: redis() });
    const scope = { org: 'o', user: 'u', session: 's' };
    await cache.set('theme', 'light');
    await cache.set('theme', 'dark', { scope: { org: 'o' } });
    const sent = await sentDuring(async () => {
      const found = await cache.getInherited('theme', { scope });
      expect(found).toMatchObject({ hit: true, value: 'dark', scope: { org: 'o' } });
    });
    expect(sent).toEqual(['mget']);
  });
});

describe('P9 refreshes of a fleet', () => {
  test('two processes whose hits are due at the same time refresh once', async () => {
    const [here, there] = [make({ storage: redis() }), make({ storage: redis() })];
    let loads = 0;
    const gate = deferred<void>();
    const load = async () => {
      loads++;
      if (loads > 1) await gate.promise;
      return loads;
    };
    const options = { ttl: 60, refreshAhead: 0 };
    await here.getOrSet('k', load, options);
    const hits = await Promise.all(
      [here, there, here, there].map((cache) => cache.getOrSet('k', load, options)),
    );
    expect(hits).toEqual([1, 1, 1, 1]);
    await until(() => loads === 2, 'one of them refreshes');
    await until(() => here.loadsUnderWay + there.loadsUnderWay === 1, 'the other has given up');
    expect(await there.getOrSet('k', load, options)).toBe(1);
    gate.resolve();
    await until(() => here.loadsUnderWay + there.loadsUnderWay === 0, 'the refresh has ended');
    expect([loads, await there.get('k')]).toEqual([2, 2]);
  });
});

describe('CA-43 Redis that cannot be reached at the start', () => {
  test('with failFast the start fails, and the error says what and why', async () => {
    const port = await freePort();
    const cache = make({
      storage: redisStorage({ url: `redis://:canary@127.0.0.1:${port}`, failFast: true }),
    });
    const error: unknown = await cache.ready().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    expect(String(error)).toMatch(/Redis.*ECONNREFUSED/);
    expect(String(error)).not.toContain('canary');
  });

  test('by default it starts degraded: loads run, and it caches when the server is there', async () => {
    const port = await freePort();
    const cache = make({
      storage: redisStorage({ url: `redis://127.0.0.1:${port}` }),
      onStorageError: 'degrade',
    });
    await cache.ready();
    let loads = 0;
    const load = (): number => ++loads;
    expect(await cache.getOrSet('k', load)).toBe(1);
    expect(await cache.getOrSet('k', load)).toBe(2);
    await cache.evictScope('global');
    const late = await startRedis([], port);
    try {
      await until(async () => (await cache.getOrSet('k', load), cache.has('k')), 'it caches');
      const last = loads;
      expect(await cache.getOrSet('k', load)).toBe(last);
    } finally {
      await late.stop();
    }
  }, 30_000);
});
