import { describe, expect, it } from '@jest/globals';
import {
  memoryStorage,
  type Cache,
  type EvictionRule,
  type LoadContext,
} from 'nestjs-scoped-cache';
import {
  createTestCache,
  deferred,
  FaultyStorage,
  ManualClock,
  mapStorage,
} from 'nestjs-scoped-cache/testing';

/**
 * The windows through which an evicted value has come back in other caches, one by one. (a), (b) and (e) need two tiers and
 * (h), (i), (m) several processes: they are tested with those storages.
 */
const WHERE = { scope: { org: 'o', user: 'u' } };
const TAGGED = { ...WHERE, tags: ['t'] };
const OUTDATING: readonly (readonly [string, (cache: Cache) => Promise<unknown>])[] = [
  ['delete', (cache) => cache.delete('k', WHERE)],
  ['set', (cache) => cache.set('k', 'new', WHERE)],
  ['setMany', (cache) => cache.setMany({ k: 'new' }, WHERE)],
  ['merge', (cache) => cache.merge('k', { by: 'new' }, WHERE)],
  ['update', (cache) => cache.update('k', () => 'new', WHERE)],
  ['evictScope', (cache) => cache.evictScope({ org: 'o' })],
  ['evictTags', (cache) => cache.evictTags('t')],
  ['clear', (cache) => cache.clear()],
];
/** The calls by which a load puts its result into the storage. */
const STORAGES = [
  ['memory', () => memoryStorage(), ['write']],
  ['a minimal storage', () => mapStorage(), ['store', 'set']],
] as const;

describe.each(STORAGES)('P5 windows on %s', (_name, makeStorage, storing) => {
  function setUp() {
    const clock = new ManualClock();
    const faulty = new FaultyStorage(makeStorage(), clock);
    const cache = createTestCache({ storage: faulty.wrapped, storageTimeout: '1h' }, { clock });
    const source = deferred<string>();
    const load = (options = {}, loader: (context: LoadContext) => unknown = () => source.promise) =>
      cache.getOrSet('k', loader, { ...WHERE, tags: ['t'], ...options });
    const after = async () => {
      for (let round = 0; round < 5; round++) await clock.advanceAsync(10);
      return cache.lookup('k', { ...WHERE, allowStale: true });
    };
    return { clock, faulty, cache, source, load, after };
  }

  it.each(OUTDATING)('(c) %s during the load: its result is not stored', async (_, outdate) => {
    const { clock, cache, source, load, after } = setUp();
    const early = load();
    await clock.advanceAsync(0);
    await outdate(cache);
    source.resolve('old');
    expect(await early).toBe('old');
    expect(await after()).not.toMatchObject({ value: 'old' });
    expect(cache.loadsUnderWay).toBe(0);
  });

  // A merge would find the text of the load, which it refuses.
  it.each(OUTDATING.filter(([kind]) => kind !== 'merge'))(
    '(d) %s between the end of the load and the end of the write',
    async (_, outdate) => {
      const { clock, faulty, cache, source, load, after } = setUp();
      const early = load();
      await clock.advanceAsync(0);
      faulty.only(...storing).hang();
      source.resolve('old');
      await clock.advanceAsync(0);
      const outdated = outdate(cache);
      await clock.advanceAsync(0);
      faulty.recover();
      await outdated;
      expect(await early).toBe('old');
      const found = await after();
      expect(found).not.toMatchObject({ value: 'old' });
      expect(cache.loadsUnderWay).toBe(0);
    },
  );

  it.each(OUTDATING)(
    '(g) whoever comes after %s does not join the load before it',
    async (kind, outdate) => {
      const { clock, cache, source, load } = setUp();
      const early = load();
      await clock.advanceAsync(0);
      await outdate(cache);
      const late = load({}, () => 'loaded anew');
      source.resolve('old');
      expect(await early).toBe('old');
      const expected = { set: 'new', setMany: 'new', update: 'new', merge: { by: 'new' } }[kind];
      expect(await late).toEqual(expected ?? 'loaded anew');
    },
  );

  it.each(OUTDATING)('(f) %s during a refresh in the background', async (_, outdate) => {
    const { clock, cache, source, load, after } = setUp();
    await cache.set('k', 'older', { ...WHERE, tags: ['t'] });
    if (_ === 'merge') await cache.set('k', { older: 1 }, { ...WHERE, tags: ['t'] });
    await load({ refreshAhead: 0 });
    await clock.advanceAsync(0);
    await outdate(cache);
    source.resolve('old');
    expect(await after()).not.toMatchObject({ value: 'old' });
    expect(cache.loadsUnderWay).toBe(0);
  });

  it.each(OUTDATING)(
    '(j) %s during a bulk load voids what it outdates, and nothing else',
    async (_, outdate) => {
      const { clock, cache, source, after } = setUp();
      const bulk = cache.getOrSetMany(
        ['k', 'other'],
        async (keys) => {
          await source.promise;
          return keys.map((key) => `${key} old`);
        },
        { ...WHERE, tags: ['t'] },
      );
      await clock.advanceAsync(0);
      await outdate(cache);
      source.resolve('');
      expect(await bulk).toEqual(['k old', 'other old']);
      expect(await after()).not.toMatchObject({ value: 'k old' });
      const isOnlyKey = ['delete', 'set', 'setMany', 'merge', 'update'].includes(_);
      expect(await cache.has('other', WHERE)).toBe(isOnlyKey);
    },
  );

  it('(k) an eviction of tags that the loader names only at its end', async () => {
    const { clock, cache, source, load, after } = setUp();
    const early = load({ tags: [] }, async (context) => {
      const value = await source.promise;
      context.addTags('late');
      return value;
    });
    await clock.advanceAsync(0);
    await cache.evictTags('late', { scope: { org: 'o' } });
    source.resolve('old');
    expect(await early).toBe('old');
    expect(await after()).toEqual({ hit: false });
  });

  it('(k) an eviction of other tags, or elsewhere, does not cost the load its place', async () => {
    const { clock, cache, source, load, after } = setUp();
    const early = load();
    await clock.advanceAsync(0);
    await cache.evictTags('another');
    await cache.evictTags('t', { scope: { org: 'p' } });
    await cache.evictScope({ org: 'o', user: 'v' });
    await cache.delete('k', { scope: { org: 'o' } });
    source.resolve('v');
    await early;
    expect(await after()).toMatchObject({ hit: true, value: 'v' });
  });

  it('(l) a set is not undone by an older load, whichever ends first', async () => {
    const { clock, cache, source, load, after } = setUp();
    const early = load();
    await clock.advanceAsync(0);
    await Promise.all([cache.set('k', 'new', WHERE), source.resolve('old'), early]);
    expect(await after()).toMatchObject({ value: 'new' });
  });

  it('touch, sliding reads and merges during an eviction do not bring the value back', async () => {
    for (const keep of [
      (cache: Cache) => cache.touch('k', { ...WHERE, ttl: 60 }),
      (cache: Cache) => cache.get('k', WHERE),
      (cache: Cache) => cache.merge('k', { kept: true }, WHERE),
    ])
      for (const [, evict] of OUTDATING.slice(5)) {
        const { clock, faulty, cache } = setUp();
        await cache.set('k', { old: true }, { ...WHERE, tags: ['t'], sliding: true });
        faulty.only('set', 'write', 'change', 'touch').hang();
        const kept = keep(cache);
        await clock.advanceAsync(0);
        const evicted = evict(cache);
        await clock.advanceAsync(0);
        faulty.recover();
        await Promise.all([kept, evicted]);
        expect((await cache.get<{ old?: boolean }>('k', WHERE))?.old).toBeUndefined();
      }
  });

  it.each(OUTDATING.filter(([kind]) => kind !== 'merge'))(
    '%s while an update thinks: what it thought before that is not what stays',
    async (_, outdate) => {
      const { clock, cache, after } = setUp();
      const before = deferred();
      const answers = [before.promise.then(() => 'old'), Promise.resolve('thought anew')];
      const updated = cache.update('k', () => answers.shift()!, TAGGED);
      await clock.advanceAsync(0);
      const outdated = outdate(cache);
      await clock.advanceAsync(0);
      before.resolve();
      await Promise.all([updated, outdated]);
      expect(await after()).not.toMatchObject({ value: 'old' });
      expect(cache.loadsUnderWay).toBe(0);
    },
  );

  it('a change of something else does not make an update think again', async () => {
    const { clock, cache } = setUp();
    const source = deferred<string>();
    let thoughts = 0;
    const updated = cache.update('k', () => (thoughts++, source.promise), TAGGED);
    await clock.advanceAsync(0);
    await cache.set('l', 1, WHERE);
    await cache.evictTags('another');
    source.resolve('v');
    expect(await updated).toBe('v');
    expect(thoughts).toBe(1);
  });
});

describe('P5 a load that timed out while its result waited to be stored', () => {
  it.each(OUTDATING)('%s after that', async (_, outdate) => {
    const clock = new ManualClock();
    const faulty = new FaultyStorage(mapStorage({ lists: false }), clock);
    const cache = createTestCache({ storage: faulty.wrapped, storageTimeout: '1h' }, { clock });
    const source = deferred<object>();
    const load = cache.getOrSet('k', () => source.promise, { ...TAGGED, hardTimeout: 1 });
    const timedOut = expect(load).rejects.toMatchObject({ code: 'LOAD_TIMEOUT' });
    await clock.advanceAsync(500);
    faulty.only('get').hang();
    const read = cache.get('k', WHERE);
    await clock.advanceAsync(0);
    source.resolve({ old: true });
    await clock.advanceAsync(500);
    await timedOut;
    const outdated = outdate(cache);
    await clock.advanceAsync(0);
    faulty.recover();
    await Promise.all([read, outdated]);
    await clock.advanceAsync(0);
    expect(await cache.lookup('k', WHERE)).not.toMatchObject({ value: { old: true } });
    expect([cache.loadsUnderWay, clock.pending]).toEqual([0, 0]);
  });
});

describe('P5 a loader is not shown what was evicted before it began', () => {
  const repeat = ({ stale }: LoadContext) => (stale.hit ? stale.value : 'loaded');
  const stale = async (cache: Cache, clock: ManualClock) => {
    await cache.set('k', 'old', { ...TAGGED, ttl: 1, grace: 60 });
    await clock.advanceAsync(1_000);
  };

  it.each(OUTDATING.filter(([kind]) => kind !== 'merge'))(
    '%s while a rule looks at the read',
    async (_, outdate) => {
      const clock = new ManualClock();
      const gate = deferred<undefined>();
      const slow = { name: 'slow', onGet: () => gate.promise };
      const cache = createTestCache({ storage: memoryStorage(), rules: [slow] }, { clock });
      await stale(cache, clock);
      const loaded = cache.getOrSet('k', repeat, TAGGED);
      const outdated = outdate(cache);
      await clock.advanceAsync(0);
      gate.resolve(undefined);
      await outdated;
      expect(await loaded).not.toBe('old');
      expect(await cache.get('k', WHERE)).not.toBe('old');
    },
  );

  it('nor is one that loads several keys', async () => {
    const clock = new ManualClock();
    const cache = createTestCache({ storage: memoryStorage() }, { clock });
    await stale(cache, clock);
    const loaded = cache.getOrSetMany(['k'], (_, context) => [repeat(context)], TAGGED);
    await cache.evictScope({ org: 'o' });
    expect(await loaded).toEqual(['loaded']);
    expect(await cache.get('k', WHERE)).toBe('loaded');
  });

  it('one that begins before any change is', async () => {
    const clock = new ManualClock();
    const cache = createTestCache({ storage: memoryStorage() }, { clock });
    await stale(cache, clock);
    expect(await cache.getOrSet('k', repeat, TAGGED)).toBe('old');
  });
});

describe('P5 a change that waits for rules, first to take effect and then to be over', () => {
  it.each<[string, (cache: Cache) => Promise<unknown>]>([
    ['set', (cache) => cache.set('k', { by: 'new' })],
    ['setMany', (cache) => cache.setMany({ k: { by: 'new' } })],
    ['merge', (cache) => cache.merge('k', { by: 'new' })],
    ['update', (cache) => cache.update('k', () => ({ by: 'new' }))],
  ])('%s: a load that begins in between does not bring back what it saw', async (_, outdate) => {
    const clock = new ManualClock();
    const [mayTakeEffect, mayBeOver, mayLand] = [deferred(), deferred(), deferred()];
    let isChanging = false;
    const rule: EvictionRule = {
      name: 'slow',
      onSet: () => (isChanging ? mayTakeEffect.promise : undefined),
      onEvict: () => mayBeOver.promise,
    };
    const cache = createTestCache({ storage: memoryStorage(), rules: [rule] }, { clock });
    const keep = { ttl: 1, grace: 60 };
    await cache.set('k', { by: 'old' }, keep);
    clock.advance(3_000);
    isChanging = true;
    const change = outdate(cache);
    await clock.advanceAsync(0);
    const repeat = async ({ stale }: LoadContext) => {
      await mayLand.promise;
      return stale.hit ? stale.value : { by: 'loader' };
    };
    const load = cache.getOrSet('k', repeat, keep);
    await clock.advanceAsync(0);
    mayTakeEffect.resolve();
    await clock.advanceAsync(0);
    isChanging = false;
    mayLand.resolve();
    await clock.advanceAsync(0);
    mayBeOver.resolve();
    await Promise.all([change, load]);
    expect(await cache.get('k')).toEqual({ by: 'new' });
    expect(cache.loadsUnderWay).toBe(0);
  });
});
