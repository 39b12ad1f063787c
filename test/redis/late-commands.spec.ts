import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { OpenStorage } from '../../lib/core/storage.js';
import { redisStorage } from '../../lib/redis.js';
import type { ServerProcess } from '../support/servers/process.js';
import { startProxy, type Proxy } from '../support/servers/proxy.js';
import { cli, startRedis } from '../support/servers/redis.js';
import { at, entry, scope, sleep, testHost } from './support.js';

const ORG = { org: 'o' };
const K = at('k', ORG);

let server: ServerProcess;
let proxy: Proxy;
/** The process whose commands come late, and one that is well. */
let slow: OpenStorage;
let other: OpenStorage;

beforeEach(async () => {
  server = await startRedis();
  proxy = await startProxy(server.port);
  // Else the connection is opened anew, and the server drops what came on the old one.
  slow = redisStorage({
    url: `redis://127.0.0.1:${proxy.port}`,
    reconnectAfterTimeouts: 1_000,
  }).open(testHost());
  other = redisStorage({ url: `redis://127.0.0.1:${server.port}` }).open(testHost());
  await slow.write(at('warm'), entry(1));
  await slow.change(at('warm'), () => ({ write: entry(2) }));
  await slow.touch(at('warm'), 60_000);
  await other.write(at('warm'), entry(1));
}, 60_000);
afterEach(async () => {
  await Promise.all([slow.close(), other.close()]);
  await proxy.stop();
  await server.stop();
});

/** Begins it, holds back its last command on the way, and waits until its caller has been told that it failed. */
async function giveUp(act: () => unknown): Promise<void> {
  await expect((async () => act())()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
}

/** What was on the way reaches the server now. */
async function arrive(): Promise<void> {
  proxy.resume();
  await sleep(150);
}

const WRITES: Record<string, (value: unknown) => unknown> = {
  write: (value) => (proxy.pause(), slow.write(K, entry(value))),
  writeMany: (value) => (
    proxy.pause(),
    slow.writeMany([
      [K, entry(value)],
      [at('other', ORG), entry(value)],
    ])
  ),
  change: (value) => slow.change(K, () => (proxy.pause(), { write: entry(value) })),
};

const EVICTIONS: Record<string, () => unknown> = {
  remove: () => other.remove(K),
  evictScope: () => other.evictScope(scope(ORG)),
  clear: () => other.clear(),
};

describe('P5 what was given up and reaches the server late', () => {
  describe.each(Object.keys(WRITES))('%s', (name) => {
    test.each(Object.keys(EVICTIONS))('is not there after a later %s', async (eviction) => {
      await giveUp(() => WRITES[name]!('late'));
      await EVICTIONS[eviction]!();
      await arrive();
      expect(await other.read(K)).toBeUndefined();
      expect(await other.count(scope(ORG))).toBe(0);
    });

    test('does not replace a later value', async () => {
      await giveUp(() => WRITES[name]!('late'));
      await other.write(K, entry('new'));
      await arrive();
      expect((await other.read(K))?.value).toBe('new');
    });
  });

  test('increment does not bring a counter back', async () => {
    proxy.delay(100);
    const adding = giveUp(() => slow.increment(K, 5, 60_000));
    await sleep(50);
    proxy.pause();
    await adding;
    await other.remove(K);
    await arrive();
    expect(await other.read(K)).toBeUndefined();
  });

  test('touch does not give back a life that was shortened since', async () => {
    await other.write(K, entry('v', { ttlMs: 10_000 }));
    proxy.delay(100);
    const touching = giveUp(() => slow.touch(K, 3_600_000));
    await sleep(50);
    proxy.pause();
    await touching;
    expect(await other.touch(K, 5_000)).toBe(true);
    await arrive();
    const life = Number(await cli(server.port, 'pttl', await entryKey()));
    expect(life).toBeGreaterThan(0);
    expect(life).toBeLessThan(6_000);
  });

  test('touch does not bring back what was removed', async () => {
    await other.write(K, entry('v', { ttlMs: 10_000 }));
    proxy.delay(100);
    const touching = giveUp(() => slow.touch(K, 3_600_000));
    await sleep(50);
    proxy.pause();
    await touching;
    await other.remove(K);
    await arrive();
    expect(await other.read(K)).toBeUndefined();
    expect(await other.count(scope(ORG))).toBe(0);
  });

  test('the store of a load does not bring back what was evicted since it began', async () => {
    const answer = await slow.leases!.acquire(K, 10_000);
    if (answer.kind !== 'leased') throw new Error(`expected a lease, got ${answer.kind}`);
    proxy.pause();
    await giveUp(() => slow.leases!.store(answer.lease, entry('late')));
    await other.remove(K);
    await arrive();
    expect(await other.read(K)).toBeUndefined();
  });

  test.each(['remove', 'evictScope', 'evictTags', 'expire', 'clear'] as const)(
    '%s causes misses at most',
    async (name) => {
      await other.write(K, entry('old', { tags: ['t'], graceMs: 60_000 }));
      proxy.pause();
      await giveUp(() =>
        name === 'remove'
          ? slow.remove(K)
          : name === 'clear'
            ? slow.clear()
            : name === 'evictScope'
              ? slow.evictScope(scope(ORG))
              : name === 'evictTags'
                ? slow.evictTags(scope(ORG), ['t'])
                : slow.expire(scope(ORG), undefined),
      );
      await other.write(K, entry('new', { tags: ['t'], graceMs: 60_000 }));
      await arrive();
      expect([undefined, 'new']).toContain((await other.read(K))?.value);
      await other.write(K, entry('newest'));
      expect((await other.read(K))?.value).toBe('newest');
    },
  );
});

async function entryKey(): Promise<string> {
  const keys = (await cli(server.port, 'keys', '*')).split('\n');
  return keys.find((key) => key.includes(':e:org:o|k'))!;
}
