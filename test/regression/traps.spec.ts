import { describe, expect, it } from '@jest/globals';
import { memoryStorage, type Cache } from 'nestjs-scoped-cache';
import { createTestCache, deferred, ManualClock, mapStorage } from 'nestjs-scoped-cache/testing';

/** Traps that other caches fell into. docs/traps.md lists all of them with the tests that guard them, here and elsewhere. */
describe.each([
  ['memory', () => memoryStorage()],
  ['a minimal storage', () => mapStorage()],
])('traps, on %s', (_name, makeStorage) => {
  it('P9 after a failed load the next callers share one load: the lock is not lost with its first holder', async () => {
    const clock = new ManualClock();
    const cache = createTestCache({ storage: makeStorage() }, { clock });
    let running = 0;
    let most = 0;
    let calls = 0;
    const load = async () => {
      calls++;
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => {
        clock.after(50, resolve);
      });
      running--;
      if (calls === 1) throw new Error('first');
      return calls;
    };
    const read = () => cache.getOrSet('k', load).catch(() => cache.getOrSet('k', load));
    const callers = Promise.all(Array.from({ length: 10 }, read));
    for (let round = 0; round < 10; round++) await clock.advanceAsync(20);
    expect(new Set(await callers)).toEqual(new Set([2]));
    expect([calls, most]).toEqual([2, 1]);
  });

  it('P5 writes, evictions and writes again within one millisecond keep their order', async () => {
    const cache = createTestCache({ storage: makeStorage() });
    for (let round = 0; round < 5; round++) {
      await cache.set('k', `a${round}`, { tags: ['t'] });
      await cache.evictTags('t');
      expect(await cache.has('k')).toBe(false);
      await cache.set('k', `b${round}`, { tags: ['t'] });
      expect(await cache.get('k')).toBe(`b${round}`);
      await cache.evictScope('global');
      expect(await cache.has('k')).toBe(false);
    }
  });

  it('P5 tags given to getOrSet are kept, and evicting them evicts what was loaded', async () => {
    const cache = createTestCache({ storage: makeStorage() });
    await cache.getOrSet('k', () => 1, { tags: ['t'] });
    await cache.getOrSetMany(['l'], () => [2], { tags: ['t'] });
    await cache.evictTags('t');
    expect(await cache.getMany(['k', 'l'])).toEqual([undefined, undefined]);
  });

  it('P9 an error is never handed back as a value, and an Error that is a value is no error', async () => {
    const cache = createTestCache({ storage: makeStorage() });
    const load = () => Promise.reject(new RangeError('source'));
    for (let round = 0; round < 2; round++)
      await expect(cache.getOrSet('k', load, { errorTtl: 60 })).rejects.toThrow('source');
    expect(await cache.getOrSet('e', () => new RangeError('a value'))).toBeInstanceOf(Error);
    expect(await cache.getOrSet('e', load)).toMatchObject({ message: 'a value' });
  });

  it('P5 has, get, lookup, bulk reads, size and listings agree, whatever made the value old', async () => {
    const clock = new ManualClock();
    const cache = createTestCache({ storage: makeStorage() }, { clock });
    const outdatings: Record<string, () => unknown> = {
      delete: () => cache.delete('k'),
      evictTags: () => cache.evictTags(['t']),
      evictScope: () => cache.evictScope('global'),
      expireTags: () => cache.expireTags(['t']),
      expireScope: () => cache.expireScope('global'),
      clear: () => cache.clear(),
      'ttl 0': () => cache.set('k', 1, { ttl: 0 }),
      'its time': () => clock.advance(10_000),
    };
    for (const [kind, outdate] of Object.entries(outdatings)) {
      await cache.set('k', 0, { ttl: 10, tags: ['t'], grace: kind.startsWith('expire') ? 60 : 0 });
      expect([kind, ...(await everyRead(cache))]).toEqual([kind, true, 0, true, [0], 1, ['k']]);
      await outdate();
      expect([kind, ...(await everyRead(cache))]).toEqual([
        kind,
        false,
        undefined,
        false,
        [undefined],
        0,
        [],
      ]);
    }
  });

  it('P5 evictions of one tag at the same time all count, and a write among them can be evicted later', async () => {
    const cache = createTestCache({ storage: makeStorage() });
    for (let round = 0; round < 20; round++) {
      await cache.set('a', round, { tags: ['t'] });
      await cache.set('b', round, { tags: ['t', 'u'] });
      await Promise.all([
        cache.evictTags('t'),
        cache.evictTags(['u', 't']),
        cache.set('c', round, { tags: ['t'] }),
        cache.evictTags('t'),
      ]);
      expect(await cache.getMany(['a', 'b'])).toEqual([undefined, undefined]);
      await cache.evictTags('t');
      expect(await cache.has('c')).toBe(false);
    }
  });

  it('options and tag lists of the caller are never changed: frozen ones work, and later pushes mean nothing', async () => {
    const cache = createTestCache({ storage: makeStorage() });
    const tags = Object.freeze(['t']);
    const frozen = Object.freeze({ tags, ttl: 10, grace: 5 });
    await cache.set('k', 1, frozen);
    await cache.getOrSet('l', (load) => load.addTags('more'), frozen);
    await cache.merge('m', { a: 1 }, frozen);
    const growing = ['t'];
    await cache.set('g', 1, { tags: growing });
    growing.push('later');
    await cache.evictTags('later');
    await cache.evictTags('more');
    expect(await Promise.all(['k', 'l', 'm', 'g'].map((key) => cache.has(key)))).toEqual([
      true,
      false,
      true,
      true,
    ]);
  });

  it('P16 figures do not grow with the keys, and name none', async () => {
    const cache = createTestCache({ storage: makeStorage() });
    const names = async (): Promise<string[]> => {
      const { storage, evictions, ...others } = await cache.stats();
      return [storage, evictions, others].flatMap((figures) => Object.keys(figures)).sort();
    };
    const change = async (key: string): Promise<void> => {
      await cache.getOrSet(key, () => 1);
      await cache.get(key);
      await cache.get(`${key} not`);
      await cache.delete(key);
      const inOrg = { scope: { org: key }, tags: [key] };
      await cache.setMany({ [key]: 1, other: 2 }, inOrg);
      await cache.increment(key, { scope: { org: key, user: key } });
      await cache.getOrSet(`${key} fails`, () => Promise.reject(new Error(key))).catch(() => 0);
      await cache.evictTags(key);
      await cache.evictScope({ org: key });
    };
    await change('first');
    const before = await names();
    for (let at = 0; at < 100; at++) await change(`secret ${at}`);
    expect(await names()).toEqual(before);
    expect(JSON.stringify(await cache.stats())).not.toContain('secret');
  });

  it('P16 a loader that never settles leaves nothing behind after its hard timeout', async () => {
    const clock = new ManualClock();
    const cache = createTestCache({ storage: makeStorage(), storageTimeout: '1h' }, { clock });
    const never = deferred();
    for (let round = 0; round < 3; round++) {
      const caller = cache.getOrSet('k', () => never.promise, { hardTimeout: 1 });
      caller.catch(() => undefined);
      await clock.advanceAsync(1_000);
      await expect(caller).rejects.toMatchObject({ code: 'LOAD_TIMEOUT' });
    }
    expect(cache.loadsUnderWay).toBe(0);
    expect(clock.pending).toBe(0);
  });
});

describe('traps of shared storages', () => {
  it('P1 namespace "a" with key "b:k" is not namespace "a:b" with key "k"', async () => {
    const storage = mapStorage();
    const outer = createTestCache({ storage, namespace: 'a' });
    const inner = createTestCache({ storage, namespace: 'a:b' });
    await outer.set('b:k', 'private');
    expect(await inner.get('k')).toBeUndefined();
    await createTestCache({ storage, namespace: '*' }).clear();
    expect(await outer.get('b:k')).toBe('private');
  });

  it('P3 what is undefined is no name: neither as an id nor as a namespace', async () => {
    const storage = mapStorage();
    const unnamed = createTestCache({ storage, namespace: undefined as never });
    const named = createTestCache({ storage, namespace: 'undefined' });
    await unnamed.set('k', 1);
    expect(unnamed.namespace).toBe('cache');
    expect(await named.has('k')).toBe(false);
    for (const org of [undefined, null])
      await expect(unnamed.set('k', 1, { scope: { org } as never })).rejects.toMatchObject({
        code: 'MISSING_SCOPE',
      });
    await unnamed.set('k', 2, { scope: { org: 'undefined' } });
    expect(await unnamed.get('k')).toBe(1);
  });

  it('P5 P8 clocks that disagree by an hour neither hide an eviction nor undo one', async () => {
    const storage = mapStorage();
    const ahead = createTestCache({ storage, ttl: '1d' }, { clock: new ManualClock(7_200_000) });
    const behind = createTestCache({ storage, ttl: '1d' }, { clock: new ManualClock(3_600_000) });
    for (const [one, other] of [
      [ahead, behind],
      [behind, ahead],
    ] as const) {
      await one.set('k', 'old', { tags: ['t'] });
      await other.evictTags('t');
      expect([await one.has('k'), await other.has('k')]).toEqual([false, false]);
      await other.set('k', 'new', { tags: ['t'] });
      expect([await one.get('k'), await other.get('k')]).toEqual(['new', 'new']);
    }
  });

  it('P8 an evicted value does not come back when the record of the eviction is lost, nor when an old one returns', async () => {
    const entries = new Map<string, Uint8Array>();
    const cache = createTestCache({ storage: mapStorage({ entries }) });
    await cache.set('k', 'old', { tags: ['t'] });
    const before = new Map(entries);
    await cache.evictTags('t');
    const entry = [...before.keys()].find((key) => key.includes('.e'))!;
    for (const key of before.keys()) if (key !== entry) entries.delete(key);
    expect(await cache.get('k')).toBeUndefined();
    await cache.set('other', 1, { tags: ['t'] });
    entries.set(entry, before.get(entry)!);
    expect(await cache.get('k')).toBeUndefined();
  });
});

async function everyRead(cache: Cache): Promise<unknown[]> {
  const keys: unknown[] = [];
  for await (const key of cache.keys()) keys.push(key);
  return [
    await cache.has('k'),
    await cache.get('k'),
    (await cache.lookup('k')).hit,
    await cache.getMany(['k']),
    await cache.size(),
    keys,
  ];
}
