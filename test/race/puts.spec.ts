import { describe, expect, it } from '@jest/globals';
import { memoryStorage, type Cache } from 'nestjs-scoped-cache';
import {
  createTestCache,
  FaultyStorage,
  ManualClock,
  mapStorage,
} from 'nestjs-scoped-cache/testing';

/**
 * The windows through which a put brings an older value back: what `@CachePut` stores was begun when its method began. An
 * overtaken put removes the entry, since it cannot know which of the two values is newer (decision 0024).
 */
const WHERE = { scope: { org: 'o', user: 'u' } };
const PUT = { ...WHERE, tags: ['t'] };
const OUTDATING: readonly (readonly [string, (cache: Cache) => Promise<unknown>])[] = [
  ['delete', (cache) => cache.delete('k', WHERE)],
  ['deleteMany', (cache) => cache.deleteMany(['k'], WHERE)],
  ['a newer set', (cache) => cache.set('k', 'new', WHERE)],
  ['a newer set with ttl 0', (cache) => cache.set('k', 'new', { ...WHERE, ttl: 0 })],
  ['setMany', (cache) => cache.setMany({ k: 'new' }, WHERE)],
  ['update', (cache) => cache.update('k', () => 'new', WHERE)],
  ['increment', (cache) => cache.increment('k', WHERE)],
  ['evictScope of its scope', (cache) => cache.evictScope(WHERE.scope)],
  ['evictScope of a wider scope', (cache) => cache.evictScope({ org: 'o' })],
  ['evictScope of everything', (cache) => cache.evictScope('global')],
  ['evictTags', (cache) => cache.evictTags('t')],
  ['expireTags', (cache) => cache.expireTags('t', { scope: { org: 'o' } })],
  ['expireScope', (cache) => cache.expireScope({ org: 'o' })],
  ['clear', (cache) => cache.clear()],
];
const ELSEWHERE: readonly (readonly [string, (cache: Cache) => Promise<unknown>])[] = [
  ['delete of another key', (cache) => cache.delete('l', WHERE)],
  ['the same key in a wider scope', (cache) => cache.set('k', 1, { scope: { org: 'o' } })],
  [
    'the same key of another user',
    (cache) => cache.delete('k', { scope: { org: 'o', user: 'v' } }),
  ],
  ['another user’s eviction', (cache) => cache.evictScope({ org: 'o', user: 'v' })],
  ['other tags', (cache) => cache.evictTags('another')],
  ['its tag in another organization', (cache) => cache.evictTags('t', { scope: { org: 'p' } })],
];

describe.each([
  ['memory', () => memoryStorage()],
  ['a minimal storage', () => mapStorage()],
] as const)('P5 puts on %s', (name, makeStorage) => {
  function setUp() {
    const clock = new ManualClock();
    const faulty = new FaultyStorage(makeStorage(), clock);
    const cache = createTestCache({ storage: faulty.wrapped, storageTimeout: '1h' }, { clock });
    const fence = cache.openFence();
    const store = async () => {
      const stored = await cache.setFenced('k', 'old', PUT, fence);
      fence.close();
      return stored;
    };
    const found = () => cache.lookup('k', { ...WHERE, allowStale: true });
    const idle = () => expect([cache.loadsUnderWay, clock.pending]).toEqual([0, 0]);
    return { clock, faulty, cache, fence, store, found, idle };
  }

  it.each(OUTDATING)(
    '%s while the method runs: what it returns is not stored',
    async (_, outdate) => {
      const { cache, store, found } = setUp();
      await outdate(cache);
      expect(await store()).toBe(false);
      expect(await found()).toEqual({ hit: false });
      expect(cache.loadsUnderWay).toBe(0);
    },
  );

  it.each(OUTDATING)(
    '%s that began before the method and ends while it runs',
    async (_, outdate) => {
      const clock = new ManualClock();
      const faulty = new FaultyStorage(makeStorage(), clock);
      const cache = createTestCache({ storage: faulty.wrapped, storageTimeout: '1h' }, { clock });
      await cache.set('k', 1, PUT);
      faulty.hang();
      const outdated = outdate(cache);
      await clock.advanceAsync(0);
      const fence = cache.openFence();
      faulty.recover();
      await outdated;
      expect(await cache.setFenced('k', 'old', PUT, fence)).toBe(false);
      fence.close();
      expect(await cache.has('k', WHERE)).toBe(false);
      expect(cache.loadsUnderWay).toBe(0);
    },
  );

  it.each(OUTDATING.filter(([kind]) => kind !== 'increment'))(
    '%s between the method’s end and the end of the write',
    async (_, outdate) => {
      const { clock, faulty, cache, store, found } = setUp();
      faulty.only(...(name === 'memory' ? ['write'] : ['set'])).hang();
      const stored = store();
      await clock.advanceAsync(0);
      const outdated = outdate(cache);
      await clock.advanceAsync(0);
      faulty.recover();
      await Promise.all([stored, outdated]);
      expect(await found()).not.toMatchObject({ value: 'old' });
      expect(cache.loadsUnderWay).toBe(0);
    },
  );

  it('an old value that a load brought back while the method ran goes when the put is refused', async () => {
    const { cache, store, found } = setUp();
    await cache.evictScope('global');
    await cache.getOrSet('k', () => 'read before the method wrote', PUT);
    await store();
    expect(await found()).toEqual({ hit: false });
  });

  it.each(ELSEWHERE)('%s does not cost a put its place', async (_, change) => {
    const { cache, store, found } = setUp();
    await change(cache);
    expect(await store()).toBe(true);
    expect(await found()).toMatchObject({ value: 'old' });
  });

  it('nothing happened: it is stored, over whatever was loaded meanwhile, and readers do not wait for it', async () => {
    const { cache, store, found, idle } = setUp();
    expect(await cache.getOrSet('k', () => 'loaded', PUT)).toBe('loaded');
    expect(await store()).toBe(true);
    expect(await found()).toMatchObject({ value: 'old' });
    if (name !== 'memory') return;
    await cache.clear();
    idle();
  });

  it('a load that is under way when the put is stored does not undo it', async () => {
    const { cache, store, found } = setUp();
    let finish!: (value: string) => void;
    const early = cache.getOrSet('k', () => new Promise<string>((done) => (finish = done)), PUT);
    await new Promise((resolve) => setImmediate(resolve));
    await store();
    finish('older');
    expect(await early).toBe('older');
    expect(await found()).toMatchObject({ value: 'old' });
  });

  it('puts of one call do not outdate each other; two calls at once leave a miss, not the older value', async () => {
    const { cache, fence, found } = setUp();
    const other = cache.openFence();
    expect(await cache.setFenced('k', 'first', PUT, fence)).toBe(true);
    expect(await cache.setFenced('k', 'second', PUT, fence)).toBe(true);
    fence.close();
    expect(await found()).toMatchObject({ value: 'second' });
    expect(await cache.setFenced('k', 'another call’s', PUT, other)).toBe(false);
    other.close();
    expect(await found()).toEqual({ hit: false });
  });

  it('P16 a method that never ends costs a bounded list of changes, and then a miss', async () => {
    const { cache, store, found } = setUp();
    for (let change = 0; change < 10_001; change++) await cache.delete('another');
    expect(await store()).toBe(false);
    expect(await found()).toEqual({ hit: false });
    expect(cache.loadsUnderWay).toBe(0);
  });

  it('P12 a storage that fails costs the put, not the call', async () => {
    const { faulty, store, clock } = setUp();
    faulty.failNext(Infinity);
    const stored = store();
    await clock.advanceAsync(3_600_000);
    expect(await stored).toBe(false);
  });
});

describe('P5 a put whose write waits for its turn in the storage', () => {
  it.each(OUTDATING.filter(([kind]) => kind !== 'increment'))(
    '%s is over only when the put has taken back what it brought',
    async (_, outdate) => {
      const clock = new ManualClock();
      const faulty = new FaultyStorage(mapStorage({ lists: false }), clock);
      const cache = createTestCache({ storage: faulty.wrapped, storageTimeout: '1h' }, { clock });
      const found = () => cache.lookup('k', { ...WHERE, allowStale: true });
      faulty.only('get').hang();
      const first = found();
      const fence = cache.openFence();
      const stored = cache.setFenced('k', 'old', PUT, fence);
      await clock.advanceAsync(0);
      const seen = outdate(cache).then(found);
      await clock.advanceAsync(0);
      faulty.recover();
      expect(await seen).not.toMatchObject({ value: 'old' });
      expect(await stored).toBe(false);
      fence.close();
      await first;
      expect(cache.loadsUnderWay).toBe(0);
    },
  );
});
