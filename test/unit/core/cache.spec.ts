import { describe, expect, it } from '@jest/globals';
import type { Cache } from '../../../lib/core/cache.js';
import type { CacheOptions } from '../../../lib/core/cache-options.js';
import { createTestCache } from '../../../lib/testing/create-test-cache.js';
import { ManualClock } from '../../../lib/testing/manual-clock.js';
import { mapStorage } from '../../../lib/testing/map-storage.js';
import { memoryStorage } from '../../../lib/storages/memory/memory-storage.js';

const DAY_MS = 86_400_000;
const STORAGES = [
  ['memory', () => memoryStorage()],
  ['a minimal storage', () => mapStorage()],
] as const;

async function listed<T>(lines: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

function messageOf(failing: Promise<unknown>): Promise<string> {
  return failing.then(
    () => '',
    (error: unknown) => (error as Error).message,
  );
}

describe.each(STORAGES)('Cache on %s', (name, makeStorage) => {
  const onMemory = name === 'memory' ? it : it.skip;
  function setUp(options: CacheOptions = {}): { cache: Cache; clock: ManualClock } {
    const clock = new ManualClock();
    return { cache: createTestCache({ storage: makeStorage(), ...options }, { clock }), clock };
  }

  describe('set, get and delete', () => {
    it('CA-01 UD-01 RC-01 SC-01 PC-01 what was set is read; what was not is a miss', async () => {
      const { cache } = setUp();
      const user = { name: 'Asha', email: 'a@example.org', pan: 'X' };
      await cache.set('t1', user, { ttl: 10 });
      expect(await cache.get('t1')).toEqual(user);
      expect(await cache.get('unknown')).toBeUndefined();
    });

    it('UD-02 RC-07 SC-02 PC-01 a miss is undefined, or the default that was passed, and never throws', async () => {
      const { cache, clock } = setUp();
      expect(await cache.get('k')).toBeUndefined();
      expect(await cache.get('k', { default: 'd' })).toBe('d');
      await cache.set('k', 'v', { ttl: 1 });
      clock.advance(1_000);
      expect(await cache.get('k', { default: 'd' })).toBe('d');
      expect(await listed(cache.keys())).toEqual([]);
    });

    it('PC-13 P10 a cached null is a hit, distinct from a miss, and does not give way to the default', async () => {
      const { cache } = setUp();
      await cache.set('k', null);
      expect(await cache.get('k', { default: 'd' })).toBeNull();
      expect(await cache.lookup('k')).toMatchObject({ hit: true, value: null });
      expect(await cache.lookup('other')).toEqual({ hit: false });
    });

    it('RC-31 SC-37 P10 falsy values round-trip and are hits', async () => {
      const { cache } = setUp();
      for (const value of [0, false, '', [], null, undefined, NaN]) {
        await cache.set('k', value);
        expect(await cache.lookup('k')).toMatchObject({ hit: true, value });
        expect(await cache.has('k')).toBe(true);
      }
    });

    it('CA-02 UD-13 SC-03 RC-06 PC-01 delete says true once, then false; an unknown key is harmless', async () => {
      const { cache } = setUp();
      await cache.set('k', 1);
      expect(await cache.delete('k')).toBe(true);
      expect(await cache.get('k')).toBeUndefined();
      expect(await cache.delete('k')).toBe(false);
      expect(await cache.delete('unknown')).toBe(false);
    });

    it('UD-14 delete of an expired entry says false', async () => {
      const { cache, clock } = setUp();
      await cache.set('k', 1, { ttl: 1 });
      clock.advance(1_000);
      expect(await cache.delete('k')).toBe(false);
    });

    it('UD-07 set replaces, it does not merge; SC-07 a second set of one key counts once', async () => {
      const { cache } = setUp();
      await cache.set('k', { a: 1 });
      await cache.set('k', { b: 2 });
      expect(await cache.get('k')).toEqual({ b: 2 });
      expect(await cache.size()).toBe(1);
      expect(await listed(cache.keys())).toEqual(['k']);
      await cache.delete('k');
      expect(await cache.size()).toBe(0);
    });

    it('CA-05 CA-06 PC-05 ttl 0 is not kept and removes what was there; below 0 is an error and changes nothing', async () => {
      const { cache } = setUp();
      await cache.set('new', 1, { ttl: 0 });
      expect(await cache.has('new')).toBe(false);
      await cache.set('k', 'old');
      await expect(cache.set('k', 'x', { ttl: -1 })).rejects.toMatchObject({
        code: 'INVALID_DURATION',
      });
      expect(await cache.get('k')).toBe('old');
      await cache.set('k', 'x', { ttl: 0 });
      expect(await cache.has('k')).toBe(false);
    });

    it('UD-32 P11 mutating what was passed or returned does not change the cache', async () => {
      const { cache } = setUp();
      const given = { list: [1] };
      await cache.set('k', given);
      given.list.push(2);
      const got = await cache.get<typeof given>('k');
      got!.list.push(3);
      expect(await cache.get('k')).toEqual({ list: [1] });
    });

    it('PC-39 CA-39 UD-31 calls in flight at once see one another’s effects in order', async () => {
      const { cache } = setUp();
      const writes = Array.from({ length: 50 }, (_, at) => cache.set('k', at));
      const read = cache.get('k');
      await Promise.all(writes);
      expect(await read).toBe(49);
    });
  });

  describe('expiry', () => {
    it('UD-03 UD-04 P7 a hit at 24 h - 1 ms, a miss at 24 h; likewise with 48 h', async () => {
      for (const [ttl, ms] of [
        ['24h', DAY_MS],
        ['48h', 2 * DAY_MS],
      ] as const) {
        const { cache, clock } = setUp({ ttl });
        await cache.set('k', 1);
        clock.advance(ms - 1);
        expect(await cache.has('k')).toBe(true);
        clock.advance(1);
        expect(await cache.has('k')).toBe(false);
      }
    });

    it('CA-07 CA-08 PC-02 without any rule an entry with 50 ms is gone after 60 ms; the first read counts as a miss', async () => {
      const { cache, clock } = setUp();
      await cache.set('k', 1, { ttl: 0.05 });
      clock.advance(60);
      expect(await cache.get('k')).toBeUndefined();
      expect(await cache.stats()).toMatchObject({ hits: 0, misses: 1 });
    });

    it('PC-03 PC-04 RC-12 the cache’s TTL holds where a call names none; numbers are seconds; strings have units', async () => {
      const { cache, clock } = setUp({ ttl: '1m' });
      await cache.set('default', 1);
      await cache.set('number', 1, { ttl: 2.5 });
      await cache.set('text', 1, { ttl: '90s' });
      clock.advance(2_500);
      expect(await cache.getMany(['default', 'number', 'text'])).toEqual([1, undefined, 1]);
      clock.advance(57_500);
      expect(await cache.getMany(['default', 'text'])).toEqual([undefined, 1]);
      clock.advance(30_000);
      expect(await cache.has('text')).toBe(false);
    });

    it('the default TTL is five minutes', async () => {
      const { cache, clock } = setUp();
      await cache.set('k', 1);
      clock.advance(299_999);
      expect(await cache.has('k')).toBe(true);
      clock.advance(1);
      expect(await cache.has('k')).toBe(false);
    });

    it('SC-04 touch gives a new TTL and says whether there was an entry', async () => {
      const { cache, clock } = setUp();
      await cache.set('k', 1, { ttl: 1 });
      expect(await cache.touch('k', { ttl: 10 })).toBe(true);
      clock.advance(9_999);
      expect(await cache.has('k')).toBe(true);
      clock.advance(1);
      expect(await cache.has('k')).toBe(false);
      expect(await cache.touch('k', { ttl: 10 })).toBe(false);
      await cache.set('k', 1);
      expect(await cache.touch('k', { ttl: 0 })).toBe(true);
      expect(await cache.has('k')).toBe(false);
    });

    it('SC-05 touch does not write the value back: a set at the same time is not undone', async () => {
      const { cache } = setUp();
      await cache.set('k', 'old');
      await Promise.all([cache.set('k', 'new'), cache.touch('k', { ttl: 60 })]);
      expect(await cache.get('k')).toBe('new');
    });

    it('RC-08 RC-09 sliding: a read at 3 s of 5 s keeps the entry at 6 s; without sliding, or without a read, it is gone', async () => {
      const { cache, clock } = setUp({ ttl: 5 });
      await cache.set('read', 1, { sliding: true });
      await cache.set('unread', 1, { sliding: true });
      await cache.set('fixed', 1);
      clock.advance(3_000);
      await cache.getMany(['read', 'fixed']);
      clock.advance(3_000);
      expect(await cache.getMany(['read', 'unread', 'fixed'])).toEqual([1, undefined, undefined]);
    });

    it('a sliding read tells the end that it has given the entry, which is never late for refreshAhead', async () => {
      const { cache, clock } = setUp({ ttl: 10 });
      await cache.set('k', 1, { sliding: true });
      clock.advance(6_000);
      expect(await cache.lookup('k')).toMatchObject({ hit: true, expiresAt: clock.now() + 10_000 });
      clock.advance(6_000);
      const load = () => 2;
      expect(await cache.getOrSet('k', load, { sliding: true, refreshAhead: 0.5 })).toBe(1);
      expect((await cache.stats()).loads).toBe(0);
    });

    it('RC-11 a sliding read restores the entry’s own TTL, not the default', async () => {
      const { cache, clock } = setUp({ ttl: 5 });
      await cache.set('k', 1, { sliding: true, ttl: 60 });
      clock.advance(59_000);
      await cache.get('k');
      clock.advance(59_999);
      expect(await cache.has('k')).toBe(true);
      clock.advance(1);
      expect(await cache.has('k')).toBe(false);
    });

    it('a listing ends although each step of it writes more, and lists what was there', async () => {
      const { cache } = setUp();
      for (const key of ['a', 'b', 'c']) {
        await cache.set(key, 1);
        await cache.set(key, 1, { scope: { org: key } });
      }
      for (const deep of [false, true]) {
        const seen: unknown[] = [];
        for await (const { key } of cache.entries({ deep })) {
          seen.push(key);
          expect(seen.length).toBeLessThan(100);
          const at = seen.length;
          await cache.set(`new ${deep} ${at}`, 1);
          await cache.set('new', 1, { scope: { org: `new ${deep} ${at}` } });
        }
        expect(seen).toEqual(expect.arrayContaining(['a', 'b', 'c']));
      }
    });

    it('RC-17 listings, has and size renew nothing', async () => {
      const { cache, clock } = setUp({ ttl: 5 });
      await cache.set('k', 1, { sliding: true });
      clock.advance(3_000);
      await listed(cache.entries());
      await listed(cache.keys());
      await cache.has('k');
      await cache.size();
      clock.advance(2_000);
      expect(await cache.has('k')).toBe(false);
    });

    it('UD-16 RC-22 removeExpired reclaims the expired only, and nothing the second time', async () => {
      const { cache, clock } = setUp();
      for (const key of ['a', 'b', 'c']) await cache.set(key, 1, { ttl: 1 });
      for (const key of ['d', 'e']) await cache.set(key, 1);
      clock.advance(1_000);
      expect(await cache.removeExpired()).toBe(3);
      expect(await cache.removeExpired()).toBe(0);
      expect(await cache.getMany(['d', 'e'])).toEqual([1, 1]);
    });

    it('UD-18 UD-21 UD-22 size, has and listings know live entries only, reclaimed or not', async () => {
      const { cache, clock } = setUp();
      await cache.set('live', 1);
      await cache.set('expired', 1, { ttl: 1 });
      clock.advance(1_000);
      expect(await cache.size()).toBe(1);
      expect(await cache.has('expired')).toBe(false);
      expect(await listed(cache.keys())).toEqual(['live']);
      expect((await cache.stats()).totalKeys).toBe(1);
    });

    onMemory('PC-38 P7 a jump of the wall clock neither expires nor revives', async () => {
      const { cache, clock } = setUp();
      await cache.set('k', 1, { ttl: 10 });
      clock.jumpWallClock(DAY_MS);
      expect(await cache.has('k')).toBe(true);
      clock.jumpWallClock(-2 * DAY_MS);
      clock.advance(10_000);
      expect(await cache.has('k')).toBe(false);
    });

    onMemory(
      'RC-18 RC-19 RC-20 removeIdle takes what was idle for longer, not exactly as long, and says how many',
      async () => {
        const { cache, clock } = setUp();
        await cache.set('idle', 1);
        clock.advance(1);
        await cache.set('at the threshold', 1);
        await cache.set('read', 1);
        clock.advance(5_999);
        await cache.get('read');
        clock.advance(1);
        expect(await cache.removeIdle('6s')).toBe(1);
        expect(await listed(cache.keys())).toEqual(['at the threshold', 'read']);
      },
    );
  });

  describe('clear and eviction', () => {
    it('CA-03 UD-15 SC-06 PC-01 clear empties the cache and starts the statistics anew', async () => {
      const { cache } = setUp();
      await cache.set('k', 1, { scope: { org: 'o' } });
      await cache.get('k');
      await cache.clear();
      expect(await cache.size()).toBe(0);
      expect(await listed(cache.entries({ deep: true }))).toEqual([]);
      expect(await cache.stats()).toMatchObject({ hits: 0, misses: 0, sets: 0, evictions: {} });
    });

    it('CA-27 evicting a user removes both entries of that user and nothing of another', async () => {
      const { cache } = setUp();
      for (const user of ['123', '456'])
        for (const key of ['a', 'b']) await cache.set(key, user, { scope: { org: 'o', user } });
      expect(await cache.evictScope({ org: 'o', user: '123' })).toBe(2);
      expect(await cache.getMany(['a', 'b'], { scope: { org: 'o', user: '456' } })).toEqual([
        '456',
        '456',
      ]);
    });

    it('CA-28 evicting an org takes its users and sessions along, and counts them; another org stays', async () => {
      const { cache } = setUp();
      await cache.set('k', 1, { scope: { org: '123' } });
      await cache.set('k', 1, { scope: { org: '123', user: 'u' } });
      await cache.set('k', 1, { scope: { org: '123', user: 'u', session: 's' } });
      await cache.set('k', 1, { scope: { org: '456', user: 'u' } });
      expect(await cache.evictScope({ org: '123' })).toBe(3);
      expect(await cache.has('k', { scope: { org: '456', user: 'u' } })).toBe(true);
    });

    it('CA-29 evicting org 1 leaves org 12 alone', async () => {
      const { cache } = setUp();
      await cache.set('k', 1, { scope: { org: '12' } });
      expect(await cache.evictScope({ org: '1' })).toBe(0);
      expect(await cache.has('k', { scope: { org: '12' } })).toBe(true);
    });

    it('CA-30 evicting global takes all; with a missing id it throws, since an eviction that did nothing must not look done', async () => {
      const { cache } = setUp();
      await cache.set('k', 1);
      await cache.set('k', 1, { scope: { org: 'o', user: 'u' } });
      await expect(cache.evictScope({ user: 'u' })).rejects.toMatchObject({
        code: 'MISSING_SCOPE',
      });
      await expect(cache.evictScope('user')).rejects.toMatchObject({ code: 'MISSING_SCOPE' });
      expect(await cache.size()).toBe(2);
      expect(await cache.evictScope('global')).toBe(2);
    });

    it('evictTags takes one tag or several, in the subtree only; no tags evict nothing', async () => {
      const { cache } = setUp();
      await cache.set('a', 1, { tags: ['x', 'y', 'x'] });
      await cache.set('b', 1, { tags: ['y'], scope: { org: 'o' } });
      await cache.set('c', 1, { tags: ['z'] });
      expect(await cache.evictTags([])).toBe(0);
      expect(await cache.evictTags('y', { scope: { org: 'o' } })).toBe(1);
      expect(await cache.evictTags(['x', 'y'])).toBe(1);
      expect(await cache.has('c')).toBe(true);
    });

    it('a write with other tags leaves the old ones behind', async () => {
      const { cache } = setUp();
      await cache.set('k', 1, { tags: ['old'] });
      await cache.set('k', 2, { tags: ['new'] });
      expect(await cache.evictTags('old')).toBe(0);
      expect(await cache.get('k')).toBe(2);
      expect(await cache.evictTags('new')).toBe(1);
    });

    it('has agrees with get after a tag was evicted', async () => {
      const { cache } = setUp();
      await cache.set('k', 1, { tags: ['t'] });
      await cache.evictTags('t');
      expect(await cache.has('k')).toBe(false);
      expect(await cache.get('k')).toBeUndefined();
    });

    it('options that a caller changes afterwards change nothing that is cached', async () => {
      const { cache } = setUp();
      const tags = ['t'];
      await cache.set('k', 1, { tags });
      tags.push('u');
      expect(await cache.evictTags('u')).toBe(0);
      const found = await cache.lookup('k');
      expect(found).toMatchObject({ tags: ['t'] });
    });
  });

  describe('merge, update and increment', () => {
    it('UD-05 UD-06 UD-08 RC-02 RC-03 merge keeps other fields, the new value wins, and the whole is returned', async () => {
      const { cache } = setUp();
      await cache.set('k', { name: 'Alice', email: 'a' });
      expect(await cache.merge('k', { email: 'b', age: 26 })).toEqual({
        name: 'Alice',
        email: 'b',
        age: 26,
      });
      expect(await cache.get('k')).toEqual({ name: 'Alice', email: 'b', age: 26 });
    });

    it('UD-09 RC-04 merge onto nothing stores the patch', async () => {
      const { cache } = setUp();
      expect(await cache.merge('k', { age: 30 })).toEqual({ age: 30 });
      expect(await cache.get('k')).toEqual({ age: 30 });
    });

    it('RC-05 with mustExist nothing is created, for merge and for update', async () => {
      const { cache } = setUp();
      await expect(cache.merge('k', { a: 1 }, { mustExist: true })).rejects.toMatchObject({
        code: 'ENTRY_NOT_FOUND',
      });
      await expect(cache.update('k', () => 1, { mustExist: true })).rejects.toMatchObject({
        code: 'ENTRY_NOT_FOUND',
      });
      expect(await cache.has('k')).toBe(false);
    });

    it('UD-10 merge onto an expired entry holds only the new fields', async () => {
      const { cache, clock } = setUp();
      await cache.set('k', { old: 1 }, { ttl: 1 });
      clock.advance(1_000);
      expect(await cache.merge('k', { fresh: 1 })).toEqual({ fresh: 1 });
    });

    it('UD-11 RC-10 merge gives a full TTL anew', async () => {
      const { cache, clock } = setUp({ ttl: '24h' });
      await cache.set('k', { a: 1 });
      clock.advance(23 * 3_600_000);
      await cache.merge('k', { b: 1 });
      clock.advance(DAY_MS - 1);
      expect(await cache.has('k')).toBe(true);
      clock.advance(1);
      expect(await cache.has('k')).toBe(false);
    });

    it('UD-12 merge is shallow: a nested object is replaced as a whole', async () => {
      const { cache } = setUp();
      await cache.set('k', { address: { city: 'Pune', zip: '1' } });
      expect(await cache.merge('k', { address: { city: 'Goa' } })).toEqual({
        address: { city: 'Goa' },
      });
    });

    it('UD-31 RC-24 concurrent merges and updates lose nothing', async () => {
      const { cache } = setUp();
      await Promise.all([
        ...Array.from({ length: 20 }, (_, at) => cache.merge('k', { [`f${at}`]: at })),
        cache.update<Record<string, unknown>>('k', async (old) => {
          await Promise.resolve();
          return { ...old, updated: true };
        }),
      ]);
      expect(Object.keys((await cache.get('k')) as object)).toHaveLength(21);
    });

    it('RC-31 merge refuses what is no plain object, on either side, and changes nothing', async () => {
      const { cache } = setUp();
      await cache.set('list', [1]);
      await expect(cache.merge('list', { a: 1 })).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
      });
      for (const patch of [[1], null, 'a', 5, new Map()])
        await expect(cache.merge('k', patch as object)).rejects.toMatchObject({
          code: 'INVALID_OPTIONS',
        });
      expect(await cache.get('list')).toEqual([1]);
      expect(await cache.has('k')).toBe(false);
    });

    it('P11 what callers do to the tags that they passed in or got back changes nothing', async () => {
      const { cache } = setUp();
      const spoil = (tags: readonly string[] | undefined): void => {
        try {
          (tags as string[]).length = 0;
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
        }
      };
      const tags = ['t'];
      await cache.set('k', 1, { tags, ttl: 1, grace: 60 });
      spoil(tags);
      const found = await cache.lookup('k');
      spoil(found.hit ? found.tags : undefined);
      const inherited = await cache.getInherited('k');
      spoil(inherited.hit ? inherited.tags : undefined);
      for (const entry of await listed(cache.entries())) spoil(entry.tags);
      expect(await cache.lookup('k')).toMatchObject({ tags: ['t'] });
      expect(await cache.evictTags('t')).toBe(1);
      await cache.increment('n');
      const counter = await cache.lookup('n');
      spoil(counter.hit ? counter.tags : undefined);
      await cache.set('other', 1);
      expect(await cache.lookup('other')).toMatchObject({ tags: [] });
    });

    it('P1 P11 what callers do to the ids that they passed in does not lead to another scope', async () => {
      const { cache } = setUp();
      const ids = { org: 'o', user: 'u' };
      const view = cache.in(ids);
      const map = cache.asMap(ids);
      await view.set('k', 'u’s');
      ids.user = 'v';
      await cache.set('k', 'v’s', { scope: ids });
      expect(await view.get('k')).toBe('u’s');
      expect(await map.get('k')).toBe('u’s');
    });

    it('P11 what merge and update return is a copy, and what update is given too', async () => {
      const { cache } = setUp();
      const merged = await cache.merge<{ list: number[] }>('k', { list: [1] });
      merged.list.push(2);
      let seen: { list: number[] } | undefined;
      const updated = await cache.update<{ list: number[] }>('k', (old) => (seen = old!));
      seen!.list.push(3);
      updated.list.push(4);
      expect(await cache.get('k')).toEqual({ list: [1] });
    });

    it('a merge cannot change prototypes', async () => {
      const { cache } = setUp();
      await cache.merge('k', JSON.parse('{"__proto__":{"polluted":1}}') as object);
      const merged = await cache.merge('k', { a: 1 });
      expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
      expect(({} as { polluted?: number }).polluted).toBeUndefined();
    });

    it('merge and update keep tags and sliding of the entry unless they name their own', async () => {
      const { cache } = setUp();
      await cache.set('k', { a: 1 }, { tags: ['t'] });
      await cache.merge('k', { b: 1 });
      expect(await cache.lookup('k')).toMatchObject({ tags: ['t'] });
      await cache.update('k', () => 1, { tags: ['u'] });
      expect(await cache.lookup('k')).toMatchObject({ tags: ['u'] });
    });

    it('SC-33 PC-36 N concurrent increments come to N; a window is not extended by later hits', async () => {
      const { cache, clock } = setUp();
      const counts = await Promise.all(
        Array.from({ length: 100 }, () => cache.increment('n', { ttl: 60 })),
      );
      expect(counts.filter((count) => count <= 10)).toHaveLength(10);
      expect(await cache.get('n')).toBe(100);
      clock.advance(59_999);
      expect(await cache.increment('n', { ttl: 60 })).toBe(101);
      clock.advance(1);
      expect(await cache.increment('n', { ttl: 60 })).toBe(1);
    });

    it('SC-32 a rate limit of 3 answers yes, yes, yes, no, and yes in the next window, per user and action', async () => {
      const { cache, clock } = setUp();
      const check = async (user: string, action: string) =>
        (await cache.increment(['rate', action], { scope: { org: 'o', user }, ttl: 60 })) <= 3;
      for (const expected of [true, true, true, false])
        expect(await check('u', 'login')).toBe(expected);
      expect(await check('v', 'login')).toBe(true);
      expect(await check('u', 'search')).toBe(true);
      clock.advance(60_000);
      expect(await check('u', 'login')).toBe(true);
    });

    it('increment takes any finite step, and refuses the rest without changing anything', async () => {
      const { cache } = setUp();
      expect(await cache.increment('n', { by: 2.5 })).toBe(2.5);
      expect(await cache.increment('n', { by: -5 })).toBe(-2.5);
      for (const by of [NaN, Infinity, '1' as unknown as number])
        await expect(cache.increment('n', { by })).rejects.toMatchObject({
          code: 'INVALID_OPTIONS',
        });
      await expect(cache.increment('n', { ttl: 0 })).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
      });
      expect(await cache.get('n')).toBe(-2.5);
    });
  });

  describe('bulk calls', () => {
    it('RC-13 RC-14 setMany stores all, with any string as a key; deleteMany removes them', async () => {
      const { cache } = setUp();
      await cache.setMany({ 'any key: *': 1, 'two words': 2 });
      await cache.setMany(new Map([[['array', 1], 3]]));
      expect(await cache.getMany(['any key: *', 'two words', ['array', 1]])).toEqual([1, 2, 3]);
      expect(await cache.deleteMany(['any key: *', 'two words', 'unknown'])).toBe(2);
      expect(await cache.size()).toBe(1);
    });

    it('RC-15 an empty deleteMany is 0, an empty getMany is [], an empty setMany nothing', async () => {
      const { cache } = setUp();
      expect(await cache.deleteMany([])).toBe(0);
      expect(await cache.getMany([])).toEqual([]);
      await cache.setMany({});
      expect(await cache.size()).toBe(0);
    });

    it('all of a setMany is checked before any of it is stored', async () => {
      const { cache } = setUp();
      await cache.set('a', 'old');
      const bad = [
        ['a', 'new'],
        ['b', () => 1],
      ] as const;
      await expect(cache.setMany<unknown>(bad)).rejects.toMatchObject({ code: 'SERIALIZATION' });
      await expect(
        cache.setMany<unknown>([
          ['a', 'new'],
          ['', 1],
        ]),
      ).rejects.toMatchObject({
        code: 'INVALID_KEY',
      });
      expect(await cache.getMany(['a', 'b'])).toEqual(['old', undefined]);
    });

    it('any number of tags is evicted and expired, and an entry with several of them counts once', async () => {
      const tags = Array.from({ length: 150 }, (_, at) => `t${at}`);
      for (const method of ['evictTags', 'expireTags'] as const) {
        const { cache } = setUp();
        for (const tag of tags) await cache.set(tag, 1, { tags: [tag, 't0', 't149'] });
        await cache.set('other', 1);
        expect(await cache[method]([...tags, ...tags])).toBe(150);
        expect(await cache.size()).toBe(1);
      }
    });

    it.each([
      ['a list of keys', ['ab', 'cd']],
      ['a pair without a value', [['k', 1], ['l']]],
      ['a pair with a TTL of its own', [['k', 1, 60]]],
      ['objects, as other caches take them', [{ key: 'k', value: 1 }]],
      ['numbers', [1]],
      ['null', [null]],
      ['a text', 'ab'],
    ])('setMany refuses %s, and stores nothing', async (_what, given) => {
      const { cache } = setUp();
      await expect(cache.setMany(given as never)).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
      });
      expect(await cache.size()).toBe(0);
    });

    it('setMany with ttl 0 removes', async () => {
      const { cache } = setUp();
      await cache.setMany({ a: 1, b: 2 });
      await cache.setMany({ a: 1, b: 2 }, { ttl: 0 });
      expect(await cache.size()).toBe(0);
    });

    it('UD-30 a thousand concurrent sets all arrive', async () => {
      const { cache } = setUp();
      await Promise.all(Array.from({ length: 1_000 }, (_, at) => cache.set(`k${at}`, at)));
      expect(await cache.size()).toBe(1_000);
    });
  });

  describe('statistics', () => {
    it('CA-04 PC-33 RC-29 hits, misses, sets, deletes, reasons, hit rate, storage and live keys', async () => {
      const { cache } = setUp();
      expect(await cache.stats()).toMatchObject({ hits: 0, misses: 0, hitRate: 0, totalKeys: 0 });
      await cache.set('k', 1);
      for (let at = 0; at < 3; at++) await cache.get('k');
      await cache.get('missing');
      await cache.delete('k');
      await cache.delete('k');
      expect(await cache.stats()).toMatchObject({
        hits: 3,
        misses: 1,
        hitRate: 0.75,
        sets: 1,
        deletes: 1,
        errors: 0,
        storageType: name === 'memory' ? 'memory' : 'map',
        totalKeys: 0,
      });
    });

    it('has and listings count neither as hits nor as misses', async () => {
      const { cache } = setUp();
      await cache.set('k', 1);
      await cache.has('k');
      await cache.has('missing');
      await listed(cache.entries());
      expect(await cache.stats()).toMatchObject({ hits: 0, misses: 0 });
    });

    it('SC-38 read-through: one load, then hits', async () => {
      const { cache } = setUp();
      let loads = 0;
      for (let at = 0; at < 3; at++) await cache.getOrSet('config', () => ++loads);
      expect(loads).toBe(1);
      expect(await cache.stats()).toMatchObject({ hits: 2, misses: 1, loads: 1, loadErrors: 0 });
      await cache.set('config', 'updated');
      expect(await cache.getOrSet('config', () => ++loads)).toBe('updated');
    });
  });

  describe('listings', () => {
    it('RC-16 SC-11 entries and keys, filtered by a glob (not a regular expression) on the key', async () => {
      const { cache } = setUp();
      const keys = [
        'user:profile:123',
        'user:profile:456',
        'user:session:123',
        'user:session:456',
        'config:a',
        'Config:api',
        'rate_limit:api:user:123',
        'attribution_1',
        'temp:1',
        'temp:2',
      ];
      await cache.setMany(Object.fromEntries(keys.map((key) => [key, key])));
      const count = async (match: string) => (await listed(cache.keys({ match }))).length;
      expect(await count('user:profile:*')).toBe(2);
      expect(await count('user:*')).toBe(4);
      expect(await count('*user:*')).toBe(5);
      expect(await count('*123')).toBe(3);
      expect(await count('[Cc]onfig:*')).toBe(2);
      expect(await count('temp:?')).toBe(2);
      expect(await count('user:.*')).toBe(0);
      expect(await listed(cache.entries({ match: 'temp:1' }))).toMatchObject([
        { key: 'temp:1', value: 'temp:1' },
      ]);
    });

    it('SC-12 SC-13 SC-15 values by pattern are live ones; deleting by pattern removes those listed', async () => {
      const { cache, clock } = setUp();
      await cache.setMany({ 'temp:1': 1, 'temp:2': 2, other: 3 });
      await cache.set('temp:3', 3, { ttl: 1 });
      clock.advance(1_000);
      const matching = await listed(cache.keys({ match: 'temp:*' }));
      expect(matching).toHaveLength(2);
      expect(await cache.deleteMany(matching)).toBe(2);
      expect(await listed(cache.keys({ match: 'temp:*' }))).toEqual([]);
      expect(await cache.has('other')).toBe(true);
    });

    it('SC-14 refreshing by pattern: touch each key that matches', async () => {
      const { cache, clock } = setUp();
      await cache.setMany({ 'session:1': 1, 'session:2': 2 }, { ttl: 10 });
      for await (const key of cache.keys({ match: 'session:*' }))
        await cache.touch(key, { ttl: 7_200 });
      clock.advance(7_199_999);
      expect(await cache.size()).toBe(2);
    });

    it('SC-16 a glob that is too long or has too many stars is refused', async () => {
      const { cache } = setUp();
      for (const match of ['x'.repeat(1_001), '*a'.repeat(33), 5 as unknown as string])
        await expect(listed(cache.keys({ match }))).rejects.toMatchObject({ code: 'INVALID_KEY' });
    });

    it('UD-21 an entry is listed with value, scope, expiry and tags, as a copy', async () => {
      const { cache, clock } = setUp();
      await cache.set(['profile', 42], { a: [1] }, { scope: { org: 'o' }, ttl: 10, tags: ['t'] });
      const [line] = await listed(cache.entries<{ a: number[] }>({ scope: { org: 'o' } }));
      expect(line).toEqual({
        key: ['profile', 42],
        scope: { org: 'o' },
        value: { a: [1] },
        expiresAt: clock.now() + 10_000,
        tags: ['t'],
      });
      line!.value.a.push(2);
      expect(await cache.get(['profile', 42], { scope: { org: 'o' } })).toEqual({ a: [1] });
    });

    it('array keys match by their first part', async () => {
      const { cache } = setUp();
      await cache.set(['profile', 1], 1);
      await cache.set([1, 'profile'], 2);
      expect(await listed(cache.keys({ match: 'pro*' }))).toEqual([['profile', 1]]);
    });
  });

  describe('views', () => {
    it('RC-01 a scope as a Map', async () => {
      const { cache } = setUp();
      const map = cache.asMap<number>({ org: 'o' });
      expect(await map.set('a', 1)).toBe(map);
      await map.set('b', 2);
      await cache.set('c', 3, { scope: { org: 'o', user: 'u' } });
      expect([await map.get('a'), await map.has('b'), await map.has('c')]).toEqual([
        1,
        true,
        false,
      ]);
      expect(await map.size()).toBe(2);
      expect((await listed(map)).sort()).toEqual([
        ['a', 1],
        ['b', 2],
      ]);
      expect((await listed(map.keys())).sort()).toEqual(['a', 'b']);
      expect((await listed(map.values())).sort()).toEqual([1, 2]);
      const seen: unknown[] = [];
      await map.forEach((value, key) => void seen.push([key, value]));
      expect(seen).toHaveLength(2);
      expect(await map.delete('a')).toBe(true);
      await map.clear();
      expect(await cache.size()).toBe(0);
    });

    it('SC-17 in(scope) is the same cache without scope: what it lists is what it acts on', async () => {
      const { cache } = setUp();
      const view = cache.in({ org: 'o', user: 'u' });
      await view.set('k', 1, { tags: ['t'] });
      await view.setMany({ l: 2 });
      expect(await cache.get('k', { scope: { org: 'o', user: 'u' } })).toBe(1);
      expect(await view.getMany(['k', 'l'])).toEqual([1, 2]);
      expect((await listed(view.keys())).sort()).toEqual(['k', 'l']);
      expect(await view.size()).toBe(2);
      expect(await view.getOrSet('m', () => 3)).toBe(3);
      expect(await view.increment('n')).toBe(1);
      expect(await view.merge('o', { a: 1 })).toEqual({ a: 1 });
      expect(await view.update('k', (old) => (old as number) + 1)).toBe(2);
      expect(await view.touch('k', { ttl: 60 })).toBe(true);
      expect(await view.lookup('k')).toMatchObject({ value: 2 });
      expect(await view.evictTags('t')).toBe(1);
      expect(await view.deleteMany(['l', 'm'])).toBe(2);
      await cache.set('elsewhere', 1);
      await view.clear();
      expect(await cache.size()).toBe(1);
      expect(() => cache.in({ user: 'u' })).toThrow(/org/);
    });

    it('UD-22 a path has a readable text', () => {
      const { cache } = setUp();
      expect(String(cache.scopes.pathOf({ org: 'o', user: 'u' }, undefined))).toBe('org:o/user:u');
      expect(String(cache.scopes.pathOf('global', undefined))).toBe('global');
    });
  });

  describe('bad input is refused with a typed error and changes nothing', () => {
    const tooLong = 'k'.repeat(65_537);
    const call: Record<string, (cache: Cache, key: string) => Promise<unknown>> = {
      get: (cache, key) => cache.get(key),
      lookup: (cache, key) => cache.lookup(key),
      has: (cache, key) => cache.has(key),
      set: (cache, key) => cache.set(key, 1),
      delete: (cache, key) => cache.delete(key),
      touch: (cache, key) => cache.touch(key),
      merge: (cache, key) => cache.merge(key, {}),
      update: (cache, key) => cache.update(key, () => 1),
      increment: (cache, key) => cache.increment(key),
      getOrSet: (cache, key) => cache.getOrSet(key, () => 1),
      getMany: (cache, key) => cache.getMany(['k', key]),
      setMany: (cache, key) =>
        cache.setMany<unknown>([
          ['k', 'new'],
          [key, 1],
        ]),
      deleteMany: (cache, key) => cache.deleteMany(['k', key]),
      getOrSetMany: (cache, key) => cache.getOrSetMany(['k', key], (keys) => keys),
      getInherited: (cache, key) => cache.getInherited(key),
    };

    it.each(Object.keys(call))('keys: %s', async (method) => {
      const { cache } = setUp();
      await cache.set('k', 'old');
      for (const key of [
        '',
        tooLong,
        'ü'.repeat(40_000),
        [],
        [() => 1],
        5,
        null,
        undefined,
        Symbol('s'),
      ])
        await expect(call[method]!(cache, key as string)).rejects.toMatchObject({
          code: 'INVALID_KEY',
        });
      expect(await cache.get('k')).toBe('old');
      expect(await cache.size()).toBe(1);
    });

    it.each([
      ['MISSING_SCOPE', 'user'],
      ['MISSING_SCOPE', { user: 'u' }],
      ['MISSING_SCOPE', { org: undefined, user: 'u' }],
      ['MISSING_SCOPE', {}],
      ['UNKNOWN_SCOPE', 'team'],
      ['UNKNOWN_SCOPE', { team: 't' }],
      ['UNKNOWN_SCOPE', ''],
      ['INVALID_KEY', { org: '' }],
      ['INVALID_KEY', { org: tooLong }],
      ['INVALID_KEY', { org: NaN }],
      ['INVALID_KEY', { org: { id: 1 } }],
      ['INVALID_KEY', { org: true }],
      ['INVALID_OPTIONS', 5],
      ['INVALID_OPTIONS', null],
    ])('P3 scopes: %s for case %#', async (code, scope) => {
      const { cache } = setUp();
      const options = { scope: scope as never };
      await cache.set('k', 'old');
      await expect(cache.get('k', options)).rejects.toMatchObject({ code });
      await expect(cache.set('k', 1, options)).rejects.toMatchObject({ code });
      await expect(cache.delete('k', options)).rejects.toMatchObject({ code });
      await expect(cache.getOrSet('k', () => 1, options)).rejects.toMatchObject({ code });
      await expect(cache.evictScope(scope as never)).rejects.toMatchObject({ code });
      expect(await cache.get('k')).toBe('old');
      expect(await cache.size()).toBe(1);
    });

    it.each([
      -1,
      NaN,
      Infinity,
      -Infinity,
      '10',
      '5 minutes',
      '',
      'never',
      '-5s',
      null,
      {},
      '1e3s',
      1e300,
    ])('PC-05 durations: %p', async (ttl) => {
      const { cache } = setUp();
      await cache.set('k', 'old');
      const options = { ttl: ttl as never };
      const code = 'INVALID_DURATION';
      await expect(cache.set('k', 1, options)).rejects.toMatchObject({ code });
      await expect(cache.setMany({ k: 1 }, options)).rejects.toMatchObject({ code });
      await expect(cache.touch('k', options)).rejects.toMatchObject({ code });
      await expect(cache.merge('o', {}, options)).rejects.toMatchObject({ code });
      await expect(cache.increment('n', options)).rejects.toMatchObject({ code });
      await expect(cache.getOrSet('l', () => 1, options)).rejects.toMatchObject({ code });
      await expect(cache.set('k', 1, { grace: ttl as never })).rejects.toMatchObject({ code });
      expect(await cache.get('k')).toBe('old');
      expect(await cache.size()).toBe(1);
    });

    it('RC-25 values that cannot be stored are refused by name, and the old one stays', async () => {
      const { cache } = setUp();
      class Money {
        amount = 1;
      }
      await cache.set('k', 'old');
      for (const value of [
        () => 1,
        Symbol('s'),
        { deep: [new Money()] },
        new WeakMap(),
        Promise.resolve(1),
      ])
        await expect(cache.set('k', value)).rejects.toMatchObject({ code: 'SERIALIZATION' });
      await expect(cache.set('k', { deep: [new Money()] })).rejects.toThrow(/Money/);
      expect(await cache.get('k')).toBe('old');
    });

    it('tags: no list, empty, too long, too many', async () => {
      const { cache } = setUp();
      const many = Array.from({ length: 65 }, (_, at) => `t${at}`);
      for (const tags of ['t', [''], [5], [tooLong], many])
        await expect(cache.set('k', 1, { tags: tags as never })).rejects.toMatchObject({
          code: 'INVALID_KEY',
        });
      await expect(cache.evictTags('')).rejects.toMatchObject({ code: 'INVALID_KEY' });
      expect(await cache.size()).toBe(0);
    });

    it.each([
      ['a bare number', 60],
      ['a level name', 'user'],
      ['null', null],
      ['ids without `scope` around them', { org: 'a', user: 'u' }],
      ['a misspelt name', { tll: 60 }],
    ])('P3 options: %s', async (_, given) => {
      const { cache } = setUp();
      const options = given as never;
      const code = 'INVALID_OPTIONS';
      await cache.set('k', 'old', { tags: ['t'] });
      await expect(cache.set('k', 1, options)).rejects.toMatchObject({ code });
      await expect(cache.setMany({ k: 1 }, options)).rejects.toMatchObject({ code });
      await expect(cache.get('k', options)).rejects.toMatchObject({ code });
      await expect(cache.getOrSet('l', () => 1, options)).rejects.toMatchObject({ code });
      await expect(cache.delete('k', options)).rejects.toMatchObject({ code });
      await expect(cache.evictTags('t', options)).rejects.toMatchObject({ code });
      await expect(cache.size(options)).rejects.toMatchObject({ code });
      expect(await cache.get('k')).toBe('old');
      expect(await cache.size()).toBe(1);
    });

    it('options: a bare number, on a view', async () => {
      const { cache } = setUp();
      const set = cache.in({ org: 'o' }).set('k', 1, 60 as never);
      await expect(set).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
      expect(await cache.size()).toBe(0);
    });

    it('what should be a function or a list is named', async () => {
      const { cache } = setUp();
      const none = undefined as never;
      const code = 'INVALID_OPTIONS';
      await expect(cache.getOrSet('k', none)).rejects.toMatchObject({ code });
      await expect(cache.getOrSetMany(['k'], none)).rejects.toMatchObject({ code });
      await expect(cache.update('k', none)).rejects.toMatchObject({ code });
      await expect(cache.setMany(none)).rejects.toMatchObject({ code });
      await expect(cache.increment('k', { by: null as never })).rejects.toMatchObject({ code });
      await expect(cache.getMany('k' as never)).rejects.toMatchObject({ code: 'INVALID_KEY' });
      await expect(cache.deleteMany(none)).rejects.toMatchObject({ code: 'INVALID_KEY' });
      expect(await cache.size()).toBe(0);
    });

    it('a bulk loader gets its keys in the order of the call, in whatever order their leases come', async () => {
      let patience = 60;
      const soonerEachTime = async <T>(value: T): Promise<T> => {
        for (let waits = patience--; waits > 0; waits--) await Promise.resolve();
        return value;
      };
      const cache = createTestCache({ storage: mapStorage({ answer: soonerEachTime }) });
      const asked: string[][] = [];
      const load = (keys: string[]) => {
        asked.push(keys);
        return keys;
      };
      expect(await cache.getOrSetMany(['r', 'p', 'q'], load)).toEqual(['r', 'p', 'q']);
      expect(asked).toEqual([['r', 'p', 'q']]);
    });

    it('P4 no message holds a cached value', async () => {
      const { cache } = setUp();
      for (const secret of ['hunter2', 4_242_424_242, 42_424_242n, ['hunter2']]) {
        await cache.set('k', secret);
        const messages = [
          typeof secret === 'number' ? '' : await messageOf(cache.increment('k')),
          await messageOf(cache.merge('k', { a: 1 })),
        ];
        expect(messages.join()).not.toMatch(/hunter2|4242424/);
      }
    });

    it('loading options: fractions and timeouts', async () => {
      const { cache } = setUp();
      for (const bad of [
        { jitter: 2 },
        { jitter: NaN },
        { refreshAhead: -0.1 },
        { earlyExpiration: -1 },
        { earlyExpiration: Infinity },
        { hardTimeout: 0 },
        { lease: 0 },
      ])
        await expect(cache.getOrSet('k', () => 1, bad)).rejects.toMatchObject({
          code: 'INVALID_OPTIONS',
          message: expect.stringContaining(Object.keys(bad)[0]!) as unknown as string,
        });
      expect(await cache.size()).toBe(0);
    });
  });
});

describe('Cache', () => {
  it('PC-35 UD-17 CA-42 P17 expired entries are swept without any access; no timer is left when idle', async () => {
    const clock = new ManualClock();
    const cache = createTestCache({ storage: memoryStorage({ sweepEvery: '5s' }) }, { clock });
    expect(clock.pending).toBe(0);
    await cache.set('k', 1, { ttl: 1 });
    await cache.set('l', 1, { ttl: 1 });
    expect(clock.pending).toBe(1);
    clock.advance(5_000);
    expect(cache.storage.figures?.()).toMatchObject({ entries: 0 });
    expect(clock.pending).toBe(0);
    await cache.set('k', 1);
    await cache.close();
    expect(clock.pending).toBe(0);
  });

  it('CA-45 a custom storage is called once for each get, set and delete beside its epochs', async () => {
    const calls: string[] = [];
    const inner = mapStorage();
    const storage = {
      ...inner,
      get: (key: string) => (calls.push(`get ${key.split('.')[1]![0]}`), inner.get(key)),
      set: (key: string, bytes: Uint8Array, ttlMs: number) => (
        calls.push(`set ${key.split('.')[1]![0]}`),
        inner.set(key, bytes, ttlMs)
      ),
      delete: (key: string) => (calls.push('delete'), inner.delete(key)),
    };
    const cache = createTestCache({ storage });
    await cache.set('k', 1);
    calls.length = 0;
    await cache.set('k', 2);
    expect(calls).toEqual(['get s', 'set e']);
    calls.length = 0;
    await cache.get('k');
    expect(calls).toEqual(['get e', 'get s']);
    calls.length = 0;
    await cache.evictScope('global');
    expect(calls.filter((call) => call === 'delete')).toHaveLength(1);
  });

  it('PC-18 keys given to a custom storage are short and plain, whatever the cache’s keys are', async () => {
    const entries = new Map<string, Uint8Array>();
    const cache = createTestCache({ storage: mapStorage({ entries }), namespace: '*/../é' });
    await cache.set('x'.repeat(60_000), 1, { scope: { org: '../../*' }, tags: ['\0'] });
    for (const key of entries.keys()) expect(key).toMatch(/^[\w.:%-]{1,200}$/);
  });

  it('RC-26 SC-42 PC-26 corrupt, foreign and hostile bytes are misses, and never run code', async () => {
    const entries = new Map<string, Uint8Array>();
    const cache = createTestCache({ storage: mapStorage({ entries }), onStorageError: 'degrade' });
    const fresh = async () => {
      entries.clear();
      await cache.set('k', { a: 1 });
      return [...entries.keys()].find((key) => key.includes('.e'))!;
    };
    for (const spoil of [
      (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 1),
      (bytes: Uint8Array) => bytes.map((byte, at) => (at === bytes.length - 3 ? byte ^ 1 : byte)),
      () => new Uint8Array(0),
      () => new TextEncoder().encode('__import__("os").system("id")'),
      () => crypto.getRandomValues(new Uint8Array(300)),
    ]) {
      const key = await fresh();
      entries.set(key, spoil(entries.get(key)!));
      expect(await cache.get('k')).toBeUndefined();
      expect(await cache.getOrSet('k', () => 'loaded')).toBe('loaded');
    }
  });

  it('SC-18 two caches with different namespaces on one storage are apart', async () => {
    const storage = mapStorage();
    const [one, other] = ['a', 'b'].map((namespace) => createTestCache({ storage, namespace }));
    await one!.set('k', 1);
    expect(await other!.get('k')).toBeUndefined();
    await other!.clear();
    expect(await one!.get('k')).toBe(1);
  });

  it('RC-32 a key named like the storage’s own cannot corrupt it', async () => {
    const entries = new Map<string, Uint8Array>();
    const cache = createTestCache({ storage: mapStorage({ entries }) });
    await cache.set('k', 1, { tags: ['t'] });
    const own = [...entries.keys()];
    await cache.setMany(own.map((key) => [key, 'mine'] as const));
    expect(await cache.get('k')).toBe(1);
  });

  it('enabled: false remembers no errors either', async () => {
    const cache = createTestCache({ enabled: false, loading: { errorTtl: '1h' } });
    let loads = 0;
    const fail = (): never => {
      throw new Error(`load ${++loads}`);
    };
    for (const load of [1, 2])
      await expect(cache.getOrSet('k', fail)).rejects.toThrow(`load ${load}`);
  });

  it('enabled: false keeps nothing and always loads', async () => {
    const cache = createTestCache({ enabled: false });
    await cache.set('k', 1);
    let loads = 0;
    await cache.getOrSet('k', () => ++loads);
    expect(await cache.getOrSet('k', () => ++loads)).toBe(2);
    expect(await cache.merge('k', { a: 1 })).toEqual({ a: 1 });
    expect(await cache.increment('k')).toBe(1);
    expect([await cache.has('k'), await cache.size(), await cache.evictScope('global')]).toEqual([
      false,
      0,
      0,
    ]);
    expect((await cache.stats()).storageType).toBe('none');
    await cache.close();
  });

  it('P11 isolation frozen: one snapshot for all, and a mutation throws', async () => {
    const cache = createTestCache({ storage: memoryStorage(), isolation: 'frozen' });
    await cache.set('k', { list: [1] });
    const [one, other] = [await cache.get<{ list: number[] }>('k'), await cache.get('k')];
    expect(one).toBe(other);
    expect(() => one!.list.push(2)).toThrow(TypeError);
    const loaded = await cache.getOrSet('l', () => ({ list: [1] }));
    expect(() => loaded.list.push(2)).toThrow(TypeError);
  });

  it('isolation none: the very object', async () => {
    const cache = createTestCache({ storage: memoryStorage(), isolation: 'none' });
    const value = { f: () => 1 };
    await cache.set('k', value);
    expect(await cache.get('k')).toBe(value);
  });
});
