import { describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import type { OpenStorage } from '../../lib/core/storage.js';
import { redisStorage } from '../../lib/redis.js';
import { cli, startRedisCluster, startSentinel, until } from '../support/servers/redis.js';
import { at, collect, entry, scope, sleep, testHost } from './support.js';

/** Every 20 ms until `stop`: how operations fare while servers fail. */
function probe(storage: OpenStorage): {
  stop(): Promise<{ failed: number; worstMs: number; stale: number }>;
} {
  let goesOn = true;
  const result = { failed: 0, worstMs: 0, stale: 0 };
  const loop = (async () => {
    for (let round = 0; goesOn; round++) {
      const start = performance.now();
      try {
        await storage.write(at(`p${round}`, { org: `o${round % 20}` }), entry(round));
        await storage.remove(at(`p${round}`, { org: `o${round % 20}` }));
        if ((await storage.read(at(`p${round}`, { org: `o${round % 20}` }))) !== undefined)
          result.stale++;
      } catch {
        // Counted: the point of the probe.
        result.failed++;
      }
      result.worstMs = Math.max(result.worstMs, (performance.now() - start) / 3);
      await sleep(20);
    }
  })();
  return {
    async stop() {
      goesOn = false;
      await loop;
      return result;
    },
  };
}

async function worksAgain(storage: OpenStorage): Promise<void> {
  await until(async () => {
    try {
      for (let org = 0; org < 20; org++) await storage.write(at('k', { org: `o${org}` }), entry(1));
      return true;
    } catch {
      // Failover under way.
      return false;
    }
  }, 'all slots are served again');
}

describe('Cluster of six', () => {
  test('scopes, tags, listings, counts and clear reach every master; a dead master is survived', async () => {
    const cluster = await startRedisCluster();
    const nodes = cluster.ports.map((port) => ({ host: '127.0.0.1', port }));
    const storage = redisStorage({ cluster: { nodes }, timeout: '500ms' }).open(testHost());
    try {
      const ids = ['{x}', '*', 'a', 'b', 'c', 'd', 'e', 'f'];
      await until(
        async () => Promise.resolve(storage.write(at('k'), entry(1))).catch(() => false),
        'the Cluster answers',
      );
      await storage.writeMany(
        Array.from({ length: 200 }, (_, index) => [at(`g${index}`), entry(index, { tags: ['t'] })]),
      );
      for (const id of ids)
        await storage.write(at('k', { org: id, user: 'u' }), entry(id, { tags: ['t', id] }));
      for (const port of cluster.ports.slice(0, 3))
        expect(Number(await cli(port, 'dbsize'))).toBeGreaterThan(20);
      expect(await storage.count(scope('global'))).toBe(201 + ids.length);
      expect(await collect(storage.list(scope('global'), { deep: true }))).toHaveLength(
        201 + ids.length,
      );
      const found = await storage.readMany(ids.map((id) => at('k', { org: id, user: 'u' })));
      expect(found.map((one) => one?.value)).toEqual(ids);
      expect(await storage.evictScope(scope({ org: '{x}' }))).toBe(1);
      const answer = await storage.leases!.acquire(at('k', { org: 'a', user: 'new' }), 1000);
      if (answer.kind !== 'leased') throw new Error(answer.kind);
      expect(await storage.evictTags(scope('global'), ['t'])).toBe(200 + ids.length - 1);
      expect(await storage.leases!.store(answer.lease, entry(1, { tags: ['t'] }))).toBe(false);
      expect(await storage.increment(at('n'), 2, 1000)).toBe(2);
      await storage.clear();
      expect(await storage.count(scope('global'))).toBe(0);

      const probed = probe(storage);
      const victim = cluster.servers[0]!;
      await victim.kill();
      await sleep(1000);
      await worksAgain(storage);
      const result = await probed.stop();
      expect(result.stale).toBe(0);
      expect(result.worstMs).toBeLessThan(700);
      await storage.clear();
    } finally {
      await storage.close();
      await cluster.stop();
    }
  }, 120_000);
});

describe('Sentinel', () => {
  test('the new master is found after the old one hangs', async () => {
    const group = await startSentinel();
    const storage = redisStorage({
      sentinel: { sentinels: [...group.sentinels], name: group.name },
    }).open(testHost());
    try {
      await storage.write(at('k'), entry(1));
      const probed = probe(storage);
      group.servers[0]!.pause();
      await sleep(1500);
      await worksAgain(storage);
      const result = await probed.stop();
      expect(result.stale).toBe(0);
      // Three operations, of one deadline of 250 ms at most each, and what a busy machine adds.
      expect(result.worstMs).toBeLessThan(600);
      const replica = new Redis(group.ports[1]!);
      expect(await replica.info('replication')).toContain('role:master');
      replica.disconnect();
    } finally {
      group.servers[0]!.resume();
      await storage.close();
      await group.stop();
    }
  }, 120_000);
});
