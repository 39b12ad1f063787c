import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Cache } from '../../lib/core/cache.js';
import { redisStorage } from '../../lib/redis.js';
import { memoryStorage } from '../../lib/storages/memory/index.js';
import { makeCache, testPlatform } from '../support/make-cache.js';
import type { ServerProcess } from '../support/servers/process.js';
import { startProxy, type Proxy } from '../support/servers/proxy.js';
import { startRedis, until } from '../support/servers/redis.js';
import { Stalls } from '../support/stalls.js';
import { sleep } from './support.js';

const RUN_MS = 2_000;
const SCOPE = { scope: { org: 'o' } };

let server: ServerProcess;
let proxy: Proxy;
let cache: Cache;
let stalls: Stalls;

beforeEach(async () => {
  stalls = new Stalls();
  server = await startRedis();
  proxy = await startProxy(server.port);
  cache = makeCache({ storage: redisStorage({ url: `redis://127.0.0.1:${proxy.port}` }) });
  await cache.set('warm', 1, SCOPE);
  await cache.getOrSet('up', () => 1, SCOPE);
}, 60_000);
afterEach(async () => {
  stalls.stop();
  await cache.close();
  await proxy.stop();
  await server.stop();
});

/** Atomic operations have no degraded answer: they reject. */
const settled = async (work: Promise<unknown>): Promise<void> =>
  void (await Promise.allSettled([work]));

const OPERATIONS: Record<string, (key: string) => Promise<unknown>> = {
  get: (key) => cache.get(key, SCOPE),
  set: (key) => cache.set(key, 1, SCOPE),
  getOrSet: (key) => cache.getOrSet(key, () => 'loaded', SCOPE),
  getMany: (key) => cache.getMany([key, `${key}'`], SCOPE),
  getOrSetMany: (key) => cache.getOrSetMany([key], () => ['loaded'], SCOPE),
  delete: (key) => cache.delete(key, SCOPE),
  evictScope: (key) => cache.evictScope({ org: key }),
  update: (key) => settled(cache.update(key, () => 1, SCOPE)),
  merge: (key) => settled(cache.merge(key, { n: 1 }, SCOPE)),
  increment: (key) => settled(cache.increment(key, SCOPE)),
  touch: () => cache.touch('warm', { ...SCOPE, ttl: 60 }),
};

/** How long calls took, by operation: a new one of each as soon as the last has resolved, in two lanes. */
async function times(): Promise<Map<string, number[]>> {
  const all = new Map<string, number[]>();
  const endAt = performance.now() + RUN_MS;
  const lane = async (name: string, number: number): Promise<void> => {
    const took: number[] = all.get(name) ?? [];
    all.set(name, took);
    for (let count = 0; performance.now() < endAt; count++) {
      const taken = stalls.stopwatch();
      await OPERATIONS[name]!(`${name} ${number} ${count}`);
      took.push(taken().waitedMs);
      await sleep(2);
    }
  };
  await Promise.all(Object.keys(OPERATIONS).flatMap((name) => [lane(name, 0), lane(name, 1)]));
  return all;
}

const FAULTS: Record<string, () => Promise<unknown> | void> = {
  SIGSTOP: () => server.pause(),
  'kill -9': () => server.kill(),
  refused: () => proxy.refuse(),
  'half replies': () => {
    const timer = setInterval(() => proxy.halfReply(), 50);
    setTimeout(() => clearInterval(timer), RUN_MS);
  },
};

test.each(Object.keys(OPERATIONS))(
  'P12 %s alone, the first to meet a server under SIGSTOP, waits for one deadline',
  async (name) => {
    server.pause();
    const taken = stalls.stopwatch();
    await OPERATIONS[name]!('first');
    const { tookMs, waitedMs } = taken();
    server.resume();
    expect(tookMs).toBeGreaterThan(240);
    expect(waitedMs).toBeLessThan(400);
  },
);

test('P12 who joined a load that could not be stored any more does not wait for the server again', async () => {
  let joiner: Promise<unknown> | undefined;
  const taken = stalls.stopwatch();
  const first = cache.getOrSet(
    'k',
    async () => {
      joiner = cache.getOrSet('k', () => 'later', SCOPE);
      // Its read is answered, and it has joined.
      await sleep(30);
      server.pause();
      return 'first';
    },
    SCOPE,
  );
  expect(await first).toBe('first');
  // It came after the loader had begun, and nobody could tell whether something was evicted meanwhile.
  expect(await joiner).toBe('later');
  const { tookMs, waitedMs } = taken();
  server.resume();
  expect(tookMs).toBeGreaterThan(240);
  expect(waitedMs).toBeLessThan(30 + 400);
});

test('P12 who joined a load that was outdated while it ran does not wait until its lease has been given back', async () => {
  const taken = stalls.stopwatch();
  const load = async (): Promise<unknown> => {
    await cache.evictScope(SCOPE.scope);
    server.pause();
    return 'first';
  };
  const both = [load, () => 'later'].map((loader) => cache.getOrSet('k', loader, SCOPE));
  expect(await Promise.all(both)).toEqual(['first', 'later']);
  const { tookMs, waitedMs } = taken();
  server.resume();
  expect(tookMs).toBeGreaterThan(240);
  expect(waitedMs).toBeLessThan(400);
});

test('P12 who waits for a load of another process finds out with the others that the server hangs', async () => {
  const redis = redisStorage({ url: `redis://127.0.0.1:${server.port}` });
  const leader = makeCache({ storage: redis });
  // Told when a lease ends, it asks by itself as late as it may: after 500 ms, where the lease is not young.
  const late = { ...testPlatform(), random: () => 0.999 };
  const follower = new Cache({ storage: redis }, late, undefined, () => memoryStorage());
  let finish!: (value: string) => void;
  const leading = leader.getOrSet('k', () => new Promise((resolve) => (finish = resolve)), SCOPE);
  const patience = { ...SCOPE, hardTimeout: '500ms' as const };
  await expect(follower.getOrSet('k', () => 'never', patience)).rejects.toThrow();
  const following = follower.getOrSet('k', () => 'own', SCOPE);
  // It has been told that somebody else loads.
  await sleep(150);
  server.pause();
  const taken = stalls.stopwatch();
  const others = Array.from({ length: 10 }, (_, n) => follower.set(`other ${n}`, 1, SCOPE));
  expect(await following).toBe('own');
  const { waitedMs } = taken();
  await Promise.all(others);
  server.resume();
  finish('led');
  await Promise.all([leading, leader.close(), follower.close()]);
  // By itself it would have asked 350 ms after the server stopped, and waited for 250 ms then.
  expect(waitedMs).toBeLessThan(480);
});

describe('P12 no request waits for more than one deadline of 250 ms', () => {
  test.each(Object.keys(FAULTS))(
    'under %s',
    async (name) => {
      const running = times();
      await sleep(200);
      await FAULTS[name]!();
      const all = await running;
      const lines = [...all].map(([operation, took]) => {
        took.sort((one, other) => one - other);
        const at = (share: number): string =>
          took[Math.floor(share * (took.length - 1))]!.toFixed(0);
        return `| ${name} | ${operation} | ${at(0.5)} | ${at(0.99)} | ${at(1)} | ${took.length} |`;
      });
      console.log(['| fault | operation | p50 | p99 | worst ms | calls |', ...lines].join('\n'));
      // One deadline, and what a busy machine adds; two would be 500.
      for (const [operation, took] of all)
        expect([operation, took.at(-1)! < 400]).toEqual([operation, true]);
      if (name === 'SIGSTOP') server.resume();
      if (name === 'kill -9') await server.restart();
      proxy.refuse(false);
      await until(async () => {
        await cache.set('k', name, SCOPE);
        return (await cache.get('k', SCOPE)) === name;
      }, 'it works again, without a restart');
    },
    30_000,
  );
});

/** One deadline, and what a busy machine adds. */
const ONE_DEADLINE_MS = 250 + 100;

describe('P12 an operation of several commands has one deadline for all of them', () => {
  let other: Cache;
  beforeEach(() => {
    other = makeCache({ storage: redisStorage({ url: `redis://127.0.0.1:${server.port}` }) });
  });
  afterEach(() => other.close());

  /** Writes the key over and over, so that nobody who looks first is ever fast enough. */
  async function keepWriting(key: string, value: unknown): Promise<() => Promise<void>> {
    let isOver = false;
    const write = async (): Promise<void> => {
      while (!isOver) {
        await other.set(key, value, SCOPE);
        await sleep(3);
      }
    };
    await other.set(key, value, SCOPE);
    const writing = write();
    return () => {
      isOver = true;
      return writing;
    };
  }

  const ATOMIC: Record<string, [unknown, () => Promise<unknown>]> = {
    update: [1, () => cache.update('k', () => 2, SCOPE)],
    merge: [{ n: 1 }, () => cache.merge('k', { n: 2 }, SCOPE)],
    increment: [1, () => cache.increment('k', SCOPE)],
    touch: [1, () => cache.touch('k', { ...SCOPE, ttl: 60 })],
  };
  test.each(Object.keys(ATOMIC))(
    '%s on a slow network, while somebody else writes the same key all the time',
    async (name) => {
      const [value, act] = ATOMIC[name]!;
      const stop = await keepWriting('k', value);
      proxy.delay(60);
      const taken = stalls.stopwatch();
      const [outcome] = await Promise.allSettled([act()]);
      const { tookMs, waitedMs } = taken();
      await stop();
      if (name === 'touch') expect(outcome).toEqual({ status: 'fulfilled', value: false });
      else expect(outcome).toMatchObject({ reason: { code: 'STORAGE_UNAVAILABLE' } });
      expect(tookMs).toBeGreaterThan(200);
      expect(waitedMs).toBeLessThan(ONE_DEADLINE_MS);
    },
  );

  test('an update whose look was slow has the rest of the time for its write, whatever its function takes', async () => {
    proxy.delay(150);
    const taken = stalls.stopwatch();
    let ownMs = 0;
    const updating = cache.update(
      'k',
      async () => {
        const start = performance.now();
        await sleep(300);
        server.pause();
        ownMs = performance.now() - start;
        return 1;
      },
      SCOPE,
    );
    await expect(updating).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    const { tookMs, waitedMs } = taken();
    server.resume();
    expect(tookMs - ownMs).toBeGreaterThan(240);
    expect(waitedMs - ownMs).toBeLessThan(ONE_DEADLINE_MS);
  });

  test('increments that wait for one under way end by the deadline that began when they were asked for', async () => {
    proxy.delay(90);
    const took = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        await sleep(index * 10);
        const taken = stalls.stopwatch();
        await settled(cache.increment('n', SCOPE));
        return taken().waitedMs;
      }),
    );
    expect(Math.max(...took)).toBeLessThan(ONE_DEADLINE_MS);
  });

  test('a read that must look at tags as well', async () => {
    await cache.set('tagged', 1, { ...SCOPE, tags: ['t'] });
    await other.evictTags('another', SCOPE);
    expect(await cache.get('tagged', SCOPE)).toBe(1);
    proxy.delay(180);
    const taken = stalls.stopwatch();
    expect(await cache.get('tagged', SCOPE)).toBeUndefined();
    const { tookMs, waitedMs } = taken();
    expect(tookMs).toBeGreaterThan(240);
    expect(waitedMs).toBeLessThan(ONE_DEADLINE_MS);
    proxy.delay(0);
    await until(
      async () => (await cache.get('tagged', SCOPE)) === 1,
      'it is read when there is time',
    );
  });
});
