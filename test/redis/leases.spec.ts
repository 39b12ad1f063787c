import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Lease, LeaseAnswer, OpenStorage } from '../../lib/core/storage.js';
import { redisStorage } from '../../lib/redis.js';
import type { ServerProcess } from '../support/servers/process.js';
import { startProxy } from '../support/servers/proxy.js';
import { cli, startRedis, until } from '../support/servers/redis.js';
import { at, entry, scope, sleep, testHost } from './support.js';

let server: ServerProcess;
let storage: OpenStorage;
let other: OpenStorage;

beforeAll(async () => {
  server = await startRedis();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  await cli(server.port, 'flushall');
  const open = (): OpenStorage =>
    redisStorage({ url: `redis://127.0.0.1:${server.port}`, timeout: '2s' }).open(testHost());
  storage = open();
  other = open();
});
afterEach(async () => {
  await storage.close();
  await other.close();
});

const place = at('k', { org: 'o', user: 'u' });

async function take(one: OpenStorage, leaseMs = 5000, address = place): Promise<Lease> {
  const answer = await one.leases!.acquire(address, leaseMs);
  if (answer.kind !== 'leased') throw new Error(`expected the lease, got ${answer.kind}`);
  return answer.lease;
}

describe('leases (P5, P9)', () => {
  test('one process loads, the others wait and then hit', async () => {
    const lease = await take(storage);
    const busy = (await other.leases!.acquire(place, 5000)) as Extract<
      LeaseAnswer,
      { kind: 'busy' }
    >;
    expect(busy.kind).toBe('busy');
    expect(await storage.leases!.store(lease, entry('v', { tags: ['t'] }))).toBe(true);
    await busy.changed(1000);
    expect(await other.leases!.acquire(place, 5000)).toMatchObject({
      kind: 'hit',
      entry: { value: 'v', tags: ['t'] },
    });
    expect(await storage.leases!.store(lease, entry('again'))).toBe(false);
  });

  test('whatever happens to the key or above it during the load voids the lease, from any process', async () => {
    const org = scope({ org: 'o' });
    const events: Record<string, () => unknown> = {
      remove: () => other.remove(place),
      write: () => other.write(place, entry('newer')),
      'write that has expired since': async () => {
        await other.write(place, entry('newer', { ttlMs: 1 }));
        await sleep(5);
      },
      change: () => other.change(place, () => ({ write: entry('newer') })),
      increment: () => other.increment(place, 1, 1000),
      evictScope: () => other.evictScope(place.scope),
      'evictScope above': () => other.evictScope(org),
      'evictScope global': () => other.evictScope(scope('global')),
      'evictScope, then a write beside it': async () => {
        await other.evictScope(org);
        await other.write(at('l', { org: 'o', user: 'u' }), entry(1));
      },
      clear: () => other.clear(),
      evictTags: () => other.evictTags(place.scope, ['t']),
      'evictTags above': () => other.evictTags(org, ['x', 't']),
      'evictTags global': () => other.evictTags(scope('global'), ['t']),
      'evictTags, then a write with the tag': async () => {
        await other.evictTags(org, ['t']);
        await other.write(at('l', { org: 'o', user: 'u' }), entry(1, { tags: ['t'] }));
      },
    };
    for (const [name, event] of Object.entries(events)) {
      await cli(server.port, 'flushall');
      await other.write(at('tagged', { org: 'o' }), entry(1, { tags: ['t'] }));
      const lease = await take(storage);
      await event();
      expect([name, await storage.leases!.store(lease, entry('old', { tags: ['t'] }))]).toEqual([
        name,
        false,
      ]);
      expect((await storage.read(place))?.value).not.toBe('old');
    }
  });

  test('what happens elsewhere does not', async () => {
    await other.write(at('x', { org: 'o', user: 'u' }), entry(1, { tags: ['kept'] }));
    const lease = await take(storage);
    await other.evictTags(scope('global'), ['t']);
    await other.evictScope(scope({ org: 'p' }));
    await other.evictScope(scope({ org: 'o', user: 'u2' }));
    await other.remove(at('l', { org: 'o', user: 'u' }));
    await other.write(at('m', { org: 'o', user: 'u' }), entry(1, { tags: ['kept'] }));
    expect(await storage.leases!.store(lease, entry('v', { tags: ['kept'] }))).toBe(true);
    expect((await other.read(place))!.value).toBe('v');
  });

  test('a crashed loader delays the others by at most its lease; renewing makes it last', async () => {
    const lease = await take(storage, 200);
    await sleep(120);
    expect(await storage.leases!.renew(lease, 300)).toBe(true);
    await sleep(150);
    expect((await other.leases!.acquire(place, 100)).kind).toBe('busy');
    await sleep(200);
    expect((await other.leases!.acquire(place, 100)).kind).toBe('leased');
    expect(await storage.leases!.renew(lease, 300)).toBe(false);
    expect(await storage.leases!.store(lease, entry('late'))).toBe(false);
  });

  test.each(['acquired', 'stored', 'released'] as const)(
    'P12 a lease whose server never said that it was %s is given back, and delays nobody for its length',
    async (what) => {
      const proxy = await startProxy(server.port);
      const mine = redisStorage({ url: `redis://127.0.0.1:${proxy.port}` }).open(testHost());
      try {
        await mine.write(at('up'), entry(1));
        const lease = what === 'acquired' ? undefined : await take(mine, 60_000);
        // The reply comes too late; a store does not even arrive.
        if (what === 'stored') proxy.pause();
        else proxy.delay(400);
        if (!lease) await expect(mine.leases!.acquire(place, 60_000)).rejects.toThrow(/250 ms/);
        else if (what === 'released') await mine.leases!.release(lease);
        else await expect(mine.leases!.store(lease, entry('v'))).rejects.toThrow(/250 ms/);
        if (what === 'acquired') expect((await other.leases!.acquire(place, 1)).kind).toBe('busy');
        proxy.delay(0);
        proxy.resume();
        await until(
          async () => (await other.leases!.acquire(place, 60_000)).kind !== 'busy',
          'the lease is free',
        );
      } finally {
        await mine.close();
        await proxy.stop();
      }
    },
  );

  test('released, it is free at once', async () => {
    await storage.leases!.release(await take(storage));
    expect((await other.leases!.acquire(place, 100)).kind).toBe('leased');
  });

  test('a stale entry comes with the lease; a fresh one is leased for a refresh only', async () => {
    await storage.write(place, entry('old', { ttlMs: 30, graceMs: 5000 }));
    await sleep(40);
    const answer = await other.leases!.acquire(place, 5000);
    expect(answer).toMatchObject({ kind: 'leased', stale: { value: 'old' } });
    expect(await storage.leases!.acquire(place, 5000)).toMatchObject({
      kind: 'busy',
      stale: { value: 'old' },
    });
    await storage.write(place, entry('new'));
    expect((await other.leases!.acquire(place, 5000)).kind).toBe('hit');
    expect((await other.leases!.acquire(place, 5000, true)).kind).toBe('leased');
    expect((await storage.leases!.acquire(place, 5000, true)).kind).toBe('busy');
    expect((await storage.read(place))!.value).toBe('new');
  });

  test('an entry that the server takes for alive, but that cannot be read, is loaded anew', async () => {
    await storage.write(place, entry('v'));
    const key = (await cli(server.port, 'keys', '*e:*')).trim();
    await cli(
      server.port,
      'setrange',
      key,
      String(Number(await cli(server.port, 'strlen', key)) - 1),
      '~',
    );
    const lease = await take(other);
    expect(await other.leases!.store(lease, entry('fresh'))).toBe(true);
    expect((await storage.read(place))!.value).toBe('fresh');
  });

  test('P8 a lease or an epoch that the server lost is void', async () => {
    for (const lost of ['*l:*', '*n:', '*n:org:o', '*n:org:o/user:u']) {
      await cli(server.port, 'flushall');
      const lease = await take(storage);
      await cli(server.port, 'del', (await cli(server.port, 'keys', lost)).trim());
      expect([lost, await storage.leases!.store(lease, entry('v'))]).toEqual([lost, false]);
    }
  });

  test('nothing is left of leases that ended', async () => {
    await take(storage, 100);
    await until(
      async () => (await cli(server.port, 'dbsize')) === '0',
      'the server has dropped all',
    );
  });

  test('100 callers in two processes: one loads', async () => {
    const kinds = await Promise.all(
      Array.from(
        { length: 100 },
        async (_, index) => (await (index % 2 ? storage : other).leases!.acquire(place, 5000)).kind,
      ),
    );
    expect(kinds.filter((kind) => kind === 'leased')).toHaveLength(1);
  });
});
