import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import type { OpenStorage } from '../../lib/core/storage.js';
import { nodePlatform } from '../../lib/platform/node-platform.js';
import { redisStorage, type RedisStorageOptions } from '../../lib/redis.js';
import { makeCache } from '../support/make-cache.js';
import { freePort, type ServerProcess } from '../support/servers/process.js';
import { startProxy, type Proxy } from '../support/servers/proxy.js';
import { cli, startRedis, until } from '../support/servers/redis.js';
import { Stalls } from '../support/stalls.js';
import { at, entry, scope, sleep, testHost } from './support.js';

let server: ServerProcess;
let stalls: Stalls;
const opened: OpenStorage[] = [];

beforeEach(async () => {
  stalls = new Stalls();
  server = await startRedis();
}, 60_000);
afterEach(async () => {
  stalls.stop();
  await Promise.all(opened.splice(0).map((one) => one.close()));
  await server.stop();
});

function open(
  options: RedisStorageOptions = { url: `redis://127.0.0.1:${server.port}` },
): OpenStorage {
  const storage = redisStorage(options).open(testHost());
  opened.push(storage);
  return storage;
}

/** How long it took to fail. */
async function failsWithin(work: () => unknown, ms: number): Promise<void> {
  const taken = stalls.stopwatch();
  await expect((async () => work())()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  expect(taken().waitedMs).toBeLessThan(ms);
}

async function recovers(storage: OpenStorage): Promise<void> {
  await until(async () => {
    try {
      await storage.write(at('alive'), entry(1));
      return (await storage.read(at('alive')))?.value === 1;
    } catch {
      // Still away: that is what is being waited for.
      return false;
    }
  }, 'the storage works again');
}

describe('faults (S7, P12)', () => {
  test('a server that hangs: each operation rejects at its deadline, late writes never land, it recovers by itself', async () => {
    const [storage, other] = [open(), open()];
    await storage.write(at('k'), entry('old'));
    await other.write(at('l'), entry('old'));
    server.pause();
    const taken = stalls.stopwatch();
    const works = Array.from({ length: 200 }, (_, index) =>
      Promise.resolve(storage.write(at('k'), entry(`late${index}`))).catch(
        (error: unknown) => (error as Error).name,
      ),
    );
    expect(new Set(await Promise.all(works))).toEqual(new Set(['StorageUnavailableError']));
    expect(taken().waitedMs).toBeLessThan(600);
    await expect((async () => storage.evictScope(scope('global')))()).rejects.toThrow();
    server.resume();
    await recovers(storage);
    await storage.remove(at('k'));
    await sleep(300);
    expect(await other.read(at('k'))).toBeUndefined();
  }, 30_000);

  test('a server that is down at the start: rejects at once, works when it comes up', async () => {
    const port = await freePort();
    const storage = open({ url: `redis://127.0.0.1:${port}` });
    await failsWithin(() => storage.read(at('k')), 400);
    await failsWithin(() => storage.read(at('k')), 50);
    const late = await startRedis([], port);
    try {
      await recovers(storage);
    } finally {
      await late.stop();
    }
  }, 30_000);

  test('ready() tells whether the server is there, and rejects only with failFast', async () => {
    const port = await freePort();
    const ready = (options: RedisStorageOptions): Promise<void> =>
      (open(options) as OpenStorage & { ready(): Promise<void> }).ready();
    await expect(ready({ url: `redis://127.0.0.1:${port}`, failFast: true })).rejects.toThrow(
      /Redis/,
    );
    await expect(ready({ url: `redis://127.0.0.1:${port}` })).resolves.toBeUndefined();
    await expect(
      ready({ url: `redis://127.0.0.1:${server.port}`, failFast: true }),
    ).resolves.toBeUndefined();
  });

  test('kill -9 and a restart: rejects at once meanwhile, recovers', async () => {
    const storage = open();
    await storage.write(at('k'), entry(1));
    await server.kill();
    await failsWithin(() => storage.read(at('k')), 400);
    await failsWithin(() => storage.write(at('k'), entry(2)), 100);
    await server.restart();
    await recovers(storage);
    expect(await storage.read(at('k'))).toBeUndefined();
  }, 30_000);

  test('cut, reset, refused, half-answered and blackholed connections', async () => {
    const proxy: Proxy = await startProxy(server.port);
    const storage = open({ url: `redis://127.0.0.1:${proxy.port}` });
    try {
      await recovers(storage);
      for (const fault of [() => proxy.cut(), () => proxy.reset(), () => proxy.halfReply()]) {
        fault();
        await Promise.allSettled([storage.read(at('k')), storage.write(at('k'), entry(1))]);
        await recovers(storage);
      }
      proxy.refuse();
      await failsWithin(() => storage.read(at('k')), 400);
      proxy.refuse(false);
      await recovers(storage);
      proxy.pause();
      for (let round = 0; round < 4; round++) await failsWithin(() => storage.read(at('k')), 400);
      proxy.resume();
      await recovers(storage);
    } finally {
      await proxy.stop();
    }
  }, 60_000);

  test('P12 a connection that looks healthy and says nothing is opened anew after so many time-outs in a row', async () => {
    const proxy = await startProxy(server.port);
    const url = `redis://127.0.0.1:${proxy.port}`;
    const storage = open({ url, timeout: '100ms', reconnectAfterTimeouts: 2 });
    try {
      await recovers(storage);
      proxy.stall();
      for (let round = 0; round < 2; round++) await failsWithin(() => storage.read(at('k')), 250);
      const since = performance.now();
      await recovers(storage);
      expect(performance.now() - since).toBeLessThan(2_000);
    } finally {
      await proxy.stop();
    }
  }, 30_000);

  test('P12 an answer that is of another command, on a connection out of step, is a fault: no read waits for ever', async () => {
    const proxy = await startProxy(server.port);
    const storage = open({ url: `redis://127.0.0.1:${proxy.port}` });
    try {
      await recovers(storage);
      proxy.delay(50);
      const reads = failsWithin(() => storage.read(at('k')), 400);
      await sleep(10);
      proxy.inject('+PONG\r\n');
      await reads;
      proxy.delay(0);
      await sleep(60);
      proxy.cut();
      await recovers(storage);
    } finally {
      await proxy.stop();
    }
  }, 30_000);

  test('a slow server is a fault at the deadline, not before', async () => {
    const proxy = await startProxy(server.port);
    const storage = open({ url: `redis://127.0.0.1:${proxy.port}` });
    try {
      await recovers(storage);
      proxy.delay(100);
      expect(await storage.read(at('alive'))).toBeDefined();
      proxy.delay(400);
      await failsWithin(() => storage.read(at('k')), 350);
    } finally {
      await proxy.stop();
    }
  }, 30_000);

  test('P5 a client handed in sends again what was not answered, but no write that was given up', async () => {
    const proxy = await startProxy(server.port);
    const client = new Redis(proxy.port, '127.0.0.1', { retryStrategy: () => 20 });
    client.on('error', () => undefined);
    const [storage, other] = [open({ client }), open()];
    try {
      await recovers(storage);
      await storage.write(at('k'), entry('old'));
      proxy.pause();
      const unanswered = client.set('theirs', 'kept');
      await failsWithin(() => storage.write(at('k'), entry('late')), 400);
      await failsWithin(() => storage.change(at('k'), () => ({ write: entry('late') })), 400);
      await other.remove(at('k'));
      proxy.cut();
      proxy.resume();
      expect(await unanswered).toBe('OK');
      expect(await client.get('theirs')).toBe('kept');
      expect(await other.read(at('k'))).toBeUndefined();
      await recovers(storage);
    } finally {
      client.disconnect();
      await proxy.stop();
    }
  }, 30_000);

  test('NOSCRIPT: scripts are sent again', async () => {
    const storage = open();
    await storage.write(at('k'), entry(1));
    await cli(server.port, 'script', 'flush');
    await storage.write(at('k'), entry(2));
    expect(await storage.remove(at('k'))).toBe(true);
  });

  test('OOM with noeviction: writes are faults that say so, reads and removals work', async () => {
    const storage = open();
    await storage.write(at('k'), entry(1));
    await cli(server.port, 'config', 'set', 'maxmemory', '1');
    await expect((async () => storage.write(at('l'), entry(1)))()).rejects.toThrow(
      /OOM.*maxmemory/s,
    );
    expect(await storage.read(at('k'))).toBeDefined();
    expect(await storage.remove(at('k'))).toBe(true);
    expect(await storage.evictScope(scope('global'))).toBe(0);
  });

  test('P12 OOM with noeviction: however many writes fail, what is there is read and evicted', async () => {
    const driver = redisStorage({ url: `redis://127.0.0.1:${server.port}`, timeout: '5s' });
    const cache = makeCache({ storage: driver });
    try {
      await cache.set('k', 1);
      await cache.set('tagged', 1, { tags: ['t'] });
      await cli(server.port, 'config', 'set', 'maxmemory', '1');
      for (let round = 0; round < 20; round++) await cache.set(`new${round}`, round);
      expect((await cache.stats()).errors).toBeGreaterThanOrEqual(20);
      expect(await cache.get('k')).toBe(1);
      expect(await cache.evictTags(['t'])).toBe(1);
      expect(await cache.delete('k')).toBe(true);
      expect((await cache.stats()).storage).toMatchObject({ circuitOpen: 0 });
    } finally {
      await cache.close();
    }
  });

  test('P5 OOM with noeviction: evictions of tags work, small and large, and so does making stale', async () => {
    const storage = open({ url: `redis://127.0.0.1:${server.port}`, timeout: '10s' });
    const org = { org: 'o1' };
    const write = (key: string, tag: string): unknown =>
      storage.write(at(key, org), entry(1, { tags: [tag], graceMs: 60_000 }));
    await Promise.all(Array.from({ length: 300 }, (_, nth) => write(`l${nth}`, 'large')));
    await write('small', 'small');
    await write('stale', 'stale');
    await cli(server.port, 'config', 'set', 'maxmemory', '1');
    expect(await storage.evictTags(scope(org), ['small'])).toBe(1);
    expect(await storage.read(at('small', org))).toBeUndefined();
    expect(await storage.evictTags(scope(org), ['large'])).toBe(300);
    expect(await storage.read(at('l1', org))).toBeUndefined();
    expect(await storage.expire(scope(org), ['stale'])).toBe(1);
    const stale = await storage.read(at('stale', org));
    expect(stale!.freshUntil).toBeLessThanOrEqual(nodePlatform.clock.monotonic());
  });

  test('READONLY, LOADING-like and NOAUTH answers are explained', async () => {
    const replica = await startRedis(['--replicaof', '127.0.0.1', String(server.port)]);
    const locked = await startRedis(['--requirepass', 'secret-canary']);
    try {
      const storage = open({ url: `redis://127.0.0.1:${replica.port}` });
      await expect((async () => storage.write(at('k'), entry(1)))()).rejects.toThrow(
        /READONLY.*replica/s,
      );
      await expect(
        (async () => open({ url: `redis://127.0.0.1:${locked.port}` }).read(at('k')))(),
      ).rejects.toMatchObject({
        code: 'STORAGE_UNAVAILABLE',
      });
    } finally {
      await replica.stop();
      await locked.stop();
    }
  }, 30_000);

  test('P8 allkeys-lru that takes metadata away only causes misses', async () => {
    await cli(server.port, 'config', 'set', 'maxmemory', '3mb');
    await cli(server.port, 'config', 'set', 'maxmemory-policy', 'allkeys-random');
    const storage = open({ url: `redis://127.0.0.1:${server.port}`, timeout: '2s' });
    for (let round = 0; round < 15; round++) {
      const value = `round${round}`;
      await storage.writeMany(
        Array.from({ length: 1000 }, (_, index) => [
          at(`k${index}`, { org: `o${index % 7}`, user: `u${index % 50}` }),
          entry(value, { tags: [`t${index % 3}`] }),
        ]),
      );
      if (round % 3 === 0)
        for (let org = 0; org < 7; org++) await storage.evictScope(scope({ org: `o${org}` }));
      else if (round % 3 === 1) await storage.evictTags(scope('global'), ['t0', 't1', 't2']);
      else await storage.clear();
      const found = await storage.readMany(
        Array.from({ length: 1000 }, (_, index) =>
          at(`k${index}`, { org: `o${index % 7}`, user: `u${index % 50}` }),
        ),
      );
      expect(found.filter((one) => one !== undefined)).toEqual([]);
    }
  }, 60_000);

  test('an ACL user without admin commands, and RESP2', async () => {
    const rights = ['~nsc:*', '+@all', '-@dangerous', '-@admin'];
    await cli(server.port, 'acl', 'setuser', 'app', 'on', '>pw', ...rights);
    const at2 = { port: server.port, protocol: 2 } as const;
    for (const options of [{ url: `redis://app:pw@127.0.0.1:${server.port}` }, { options: at2 }]) {
      const storage = open(options);
      await storage.write(at('k', { org: 'o' }), entry(1, { tags: ['t'] }));
      expect(await storage.read(at('k', { org: 'o' }))).toBeDefined();
      expect(await storage.increment(at('n'), 0.5, 1000)).toBe(0.5);
      expect(await storage.evictTags(scope('global'), ['t'])).toBe(1);
      await storage.clear();
    }
  });

  test('P7 without the right to TIME, a clock that is hours ahead elsewhere makes no entry live longer than it was given', async () => {
    const rights = ['~nsc:*', '&nsc.*', '+@all', '-time', '-info'];
    await cli(server.port, 'acl', 'setuser', 'timeless', 'on', '>pw', ...rights);
    const { clock } = nodePlatform;
    const ahead = { ...clock, now: () => clock.now() + 3 * 3_600_000 };
    const url = `redis://timeless:pw@127.0.0.1:${server.port}`;
    const theirs = redisStorage({ url, timeout: '5s' }).open(testHost({ clock: ahead }));
    opened.push(theirs);
    const ours = open({ url: `redis://127.0.0.1:${server.port}`, timeout: '5s' });
    await theirs.write(at('k'), entry(1, { ttlMs: 60_000 }));
    const found = await ours.read(at('k'));
    expect(found?.value).toBe(1);
    expect(found!.freshUntil).toBeLessThanOrEqual(clock.monotonic() + 60_000);
  });

  test('P17 close ends with the server away', async () => {
    const storage = open();
    await storage.write(at('k'), entry(1));
    server.pause();
    const start = performance.now();
    await storage.close();
    expect(performance.now() - start).toBeLessThan(1000);
    server.resume();
  });
});
