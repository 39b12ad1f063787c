import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import type { Cache } from '../../lib/core/cache.js';
import { redisStorage } from '../../lib/redis.js';
import { makeCache } from '../support/make-cache.js';
import type { ServerProcess } from '../support/servers/process.js';
import { startRedis, until } from '../support/servers/redis.js';
import { collect } from './support.js';

let server: ServerProcess;
let client: Redis;
let cache: Cache;
beforeAll(async () => {
  server = await startRedis();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  client = new Redis(server.port, '127.0.0.1');
  await client.flushall();
  const storage = redisStorage({ client, timeout: '5s' });
  cache = makeCache({ storage, onStorageError: 'throw' });
});
afterEach(async () => {
  await cache.close();
  client.disconnect();
});

/** The server answers QUEUED to whatever comes between MULTI and EXEC, also to what the cache sends. */
describe('a client handed in that is inside a MULTI of its owner', () => {
  const begun = () => void client.multi({ pipeline: false });

  test.each<readonly [string, () => unknown]>([
    ['get', () => cache.get('k')],
    ['set', () => cache.set('k', 'new')],
    ['delete', () => cache.delete('k')],
    ['evictScope', () => cache.evictScope('global')],
    ['evictTags', () => cache.evictTags(['t'])],
    ['clear', () => cache.clear()],
    ['increment', () => cache.increment('n')],
    ['update', () => cache.update('k', () => 'new')],
    ['touch', () => cache.touch('k', { ttl: 9 })],
    ['keys', () => collect(cache.keys())],
    ['removeExpired', () => cache.removeExpired()],
  ])(
    'P12 P13 %s is a fault that says so: it neither seems to be done nor waits',
    async (_, act) => {
      await cache.set('k', 'old', { tags: ['t'] });
      begun();
      await expect((async () => act())()).rejects.toThrow(/inside a MULTI of its owner/);
      await client.discard();
    },
  );

  test.each(['exec', 'discard'] as const)(
    'P13 an eviction asked for meanwhile is carried out after %s',
    async (end) => {
      await cache.set('k', 'old');
      begun();
      await expect(cache.delete('k')).rejects.toThrow(/QUEUED/);
      await client[end]();
      expect(await cache.get('k')).toBeUndefined();
      expect(await client.keys('*e:*k')).toEqual([]);
    },
  );

  test('P7 does not take QUEUED for the time of the server', async () => {
    begun();
    await expect(cache.set('k', 1)).rejects.toThrow(/QUEUED/);
    await client.discard();
    await cache.set('k', 2, { ttl: '1h' });
    const found = await cache.lookup('k');
    if (!found.hit) throw new Error('a miss');
    expect(found.expiresAt).toBeGreaterThan(Date.now() + 3_000_000);
  });

  test('leaves nothing waiting', async () => {
    begun();
    const asked = [cache.get('k'), cache.getMany(['a', 'b']), cache.set('k', 1)].map((one) =>
      Promise.resolve(one).catch(() => 'failed'),
    );
    expect(await Promise.all(asked)).toEqual(['failed', 'failed', 'failed']);
    await client.discard();
    await until(
      async () => (await cache.stats()).storage.commandsUnderWay === 0,
      'no command is under way',
    );
  });
});
