import { describe, expect, it } from '@jest/globals';
import { memoryStorage, type Cache, type LoadOptions } from 'nestjs-scoped-cache';
import {
  createTestCache,
  deferred,
  ManualClock,
  mapStorage,
  RecordingListener,
} from 'nestjs-scoped-cache/testing';

const STORAGES = [
  ['memory', memoryStorage],
  ['a minimal storage', mapStorage],
] as const;

/** Loaders of the tests: each call is numbered, waits for its gate, and knows whether it was aborted. */
class Source {
  calls = 0;
  readonly signals: AbortSignal[] = [];
  gate = deferred<unknown>();

  readonly load = (context: { signal: AbortSignal }): Promise<unknown> => {
    this.calls++;
    this.signals.push(context.signal);
    return this.gate.promise;
  };

  next(): void {
    this.gate = deferred();
  }
}

describe.each(STORAGES)('loading, on %s', (name, makeStorage) => {
  const isMemory = name === 'memory';

  function setUp(loading: LoadOptions = {}) {
    const clock = new ManualClock();
    const listener = new RecordingListener();
    const cache = createTestCache(
      { storage: makeStorage(), listener, storageTimeout: '1h', ttl: 10 },
      { clock },
    );
    const source = new Source();
    const read = (options: LoadOptions = {}) =>
      cache.getOrSet('k', source.load, { ...loading, ...options });
    return { clock, cache, source, read, listener };
  }

  it('P9 CA-39 PC-39 50 concurrent callers of a cold key: the loader runs once and all get the value', async () => {
    const { cache, source, read } = setUp();
    const callers = Promise.all(Array.from({ length: 50 }, () => read()));
    source.gate.resolve('v');
    expect(await callers).toEqual(Array(50).fill('v'));
    expect(source.calls).toBe(1);
    expect(cache.loadsUnderWay).toBe(0);
  });

  it('P9 CA-40 100 callers and a failing 50 ms loader: one call, about 50 ms, one error each; the next call tries again', async () => {
    const { clock, cache } = setUp();
    let calls = 0;
    const load = () => {
      calls++;
      return new Promise((_, reject) => {
        clock.after(50, () => reject(new RangeError('source')));
      });
    };
    const callers = Promise.allSettled(
      Array.from({ length: 100 }, () => cache.getOrSet('k', load)),
    );
    while (calls === 0) await clock.advanceAsync(0);
    await clock.advanceAsync(50);
    const ends = await callers;
    expect(calls).toBe(1);
    expect(clock.monotonic()).toBe(50);
    expect(ends.every((end) => end.status === 'rejected' && end.reason instanceof RangeError)).toBe(
      true,
    );
    expect(await cache.getOrSet('k', () => 'v')).toBe('v');
    expect(cache.loadsUnderWay).toBe(0);
  });

  it('P9 a loader that rejects with undefined rejects the leader and the waiters, and stores nothing', async () => {
    const { cache, source, read } = setUp();
    const callers = Promise.allSettled([read(), read(), read()]);
    source.gate.reject(undefined);
    expect(await callers).toEqual(Array(3).fill({ status: 'rejected', reason: undefined }));
    expect(await cache.has('k')).toBe(false);
  });

  it('P9 a loader that throws at once, and one that returns no promise, work like any other', async () => {
    const { cache } = setUp();
    const fail = () => {
      throw new RangeError('at once');
    };
    await expect(cache.getOrSet('k', fail)).rejects.toThrow('at once');
    expect(await cache.getOrSet('k', () => 0)).toBe(0);
    expect(await cache.getOrSet('k', fail)).toBe(0);
  });

  it('P10 SC-37 a loaded undefined, null, 0, "" or false is a hit from then on', async () => {
    const { cache } = setUp();
    for (const value of [undefined, null, 0, '', false]) {
      await cache.getOrSet(['v', value], () => value);
      expect(await cache.getOrSet(['v', value], () => 'again')).toBe(value);
    }
  });

  it('RC-25 a loaded value that cannot be stored is refused by name, and nothing is stored', async () => {
    const { cache } = setUp();
    await expect(cache.getOrSet('k', () => ({ a: { f: () => 1 } }))).rejects.toMatchObject({
      code: 'SERIALIZATION',
    });
    expect(await cache.has('k')).toBe(false);
    expect(cache.loadsUnderWay).toBe(0);
  });

  it('LoadTimeoutError: a hard timeout rejects all waiters, aborts the loader, frees the key and drops the late result', async () => {
    const { clock, cache, source, read } = setUp({ hardTimeout: 1 });
    const callers = Promise.allSettled([read(), read()]);
    await clock.advanceAsync(999);
    expect(source.signals[0]!.aborted).toBe(false);
    await clock.advanceAsync(1);
    for (const end of await callers)
      expect(end).toMatchObject({ status: 'rejected', reason: { code: 'LOAD_TIMEOUT' } });
    expect(source.signals[0]!.aborted).toBe(true);
    const late = source.gate;
    source.next();
    const again = read();
    source.gate.resolve('second');
    expect(await again).toBe('second');
    late.resolve('first');
    await clock.advanceAsync(0);
    expect(await cache.get('k')).toBe('second');
    expect(cache.loadsUnderWay).toBe(0);
  });

  it('P9 P16 a loader that never settles does not block later callers beyond the hard timeout', async () => {
    const { clock, cache } = setUp();
    const never = new Promise<string>(() => undefined);
    const early = cache.getOrSet('k', () => never, { hardTimeout: 1 });
    const rejected = expect(early).rejects.toMatchObject({ code: 'LOAD_TIMEOUT' });
    await clock.advanceAsync(600);
    // Joins, and is bound by the same timeout; its own loader does not run.
    const joined = cache.getOrSet('k', () => 'not run', { hardTimeout: 1 });
    const alsoRejected = expect(joined).rejects.toMatchObject({ code: 'LOAD_TIMEOUT' });
    await clock.advanceAsync(400);
    await rejected;
    await alsoRejected;
    const later = cache.getOrSetDetailed('k', () => 'loaded', { hardTimeout: 1 });
    await clock.advanceAsync(0);
    expect(await later).toMatchObject({ value: 'loaded', outcome: 'loaded', stored: true });
    expect(cache.loadsUnderWay).toBe(0);
  });

  it('P9 whoever joins a load of somebody more patient waits no longer than its own hard timeout', async () => {
    const { clock, cache, source, read } = setUp();
    const patient = read();
    await clock.advanceAsync(0);
    const hurried = read({ hardTimeout: 1 });
    const rejected = expect(hurried).rejects.toMatchObject({ code: 'LOAD_TIMEOUT' });
    await clock.advanceAsync(999);
    const late = read({ hardTimeout: 1 });
    await clock.advanceAsync(1);
    await rejected;
    expect(source.calls).toBe(1);
    expect(source.signals[0]!.aborted).toBe(false);
    source.gate.resolve('v');
    expect(await Promise.all([patient, late])).toEqual(['v', 'v']);
    expect(await cache.get('k')).toBe('v');
    expect(cache.loadsUnderWay).toBe(0);
  });

  it('and gets the stale value then, if there is one', async () => {
    const { clock, cache, source, read } = setUp({ ttl: 10, grace: 60 });
    await cache.set('k', 'old', { ttl: 10, grace: 60 });
    await clock.advanceAsync(10_000);
    const patient = read();
    await clock.advanceAsync(0);
    const hurried = read({ hardTimeout: 1 });
    await clock.advanceAsync(1_000);
    expect(await hurried).toBe('old');
    source.gate.resolve('new');
    expect(await patient).toBe('new');
  });

  it('P16 a loader that never settles leaves nothing behind when it was given up', async () => {
    const { clock, cache } = setUp({});
    const never = new Promise<string>(() => undefined);
    for (let load = 0; load < 100; load++) {
      const given = cache.getOrSet(`k${load}`, () => never, { hardTimeout: 1 });
      given.catch(() => undefined);
    }
    await clock.advanceAsync(0);
    expect(cache.loadsUnderWay).toBe(100);
    await clock.advanceAsync(1_000);
    expect(cache.loadsUnderWay).toBe(0);
    expect(cache.storage.figures?.()['keysLeased'] ?? 0).toBe(0);
  });

  it('P16 P17 close aborts loaders that are under way, and what they bring is not stored', async () => {
    const { clock, cache, source, read } = setUp({ hardTimeout: 60 });
    const caller = read();
    await clock.advanceAsync(0);
    await cache.close();
    expect(source.signals[0]!.aborted).toBe(true);
    source.gate.resolve('late');
    expect(await caller).toBe('late');
    await clock.advanceAsync(0);
    expect(cache.loadsUnderWay).toBe(0);
    expect(clock.pending).toBe(0);
  });

  describe('grace', () => {
    it('a stale value serves when the loader fails, and grace never shortens a life', async () => {
      const { clock, cache, source, read } = setUp({ ttl: 10, grace: 5 });
      source.gate.resolve('old');
      expect(await read()).toBe('old');
      await clock.advanceAsync(9_999);
      expect(await cache.get('k')).toBe('old');
      await clock.advanceAsync(1);
      source.next();
      source.gate.reject(new Error('source'));
      expect(await cache.get('k')).toBeUndefined();
      expect(await read()).toBe('old');
      expect(source.calls).toBe(2);
    });

    it('beyond its grace a stale value does not serve: the loader’s error comes out', async () => {
      const { clock, source, read } = setUp({ ttl: 10, grace: 5 });
      source.gate.resolve('old');
      await read();
      await clock.advanceAsync(15_000);
      source.next();
      source.gate.reject(new RangeError('source'));
      await expect(read()).rejects.toThrow('source');
    });

    it('a grace that runs out while the loader runs does not serve', async () => {
      const { clock, source, read } = setUp({ ttl: 10, grace: 5 });
      source.gate.resolve('old');
      await read();
      await clock.advanceAsync(14_000);
      source.next();
      const caller = read();
      caller.catch(() => undefined);
      await clock.advanceAsync(1_000);
      source.gate.reject(new RangeError('source'));
      await expect(caller).rejects.toThrow('source');
    });

    it('after a failure answered with a stale value the source is asked again only when the throttle is over', async () => {
      const { clock, source, read } = setUp({ ttl: 10, grace: 60, graceThrottle: 2 });
      source.gate.resolve('old');
      await read();
      await clock.advanceAsync(10_000);
      source.next();
      source.gate.reject(new Error('source'));
      expect(await read()).toBe('old');
      expect(await read()).toBe('old');
      await clock.advanceAsync(1_999);
      expect(await read()).toBe('old');
      expect(source.calls).toBe(2);
      await clock.advanceAsync(1);
      source.next();
      source.gate.resolve('new');
      expect(await read()).toBe('new');
      expect(source.calls).toBe(3);
    });

    it('soft timeout: serves stale, the load goes on and stores its result', async () => {
      const { clock, cache, source, read } = setUp({ ttl: 10, grace: 60, softTimeout: 0.1 });
      source.gate.resolve('old');
      await read();
      await clock.advanceAsync(10_000);
      source.next();
      const caller = read();
      await clock.advanceAsync(100);
      expect(await caller).toBe('old');
      expect(await cache.get('k')).toBeUndefined();
      source.gate.resolve('new');
      await clock.advanceAsync(0);
      expect(await cache.get('k')).toBe('new');
      expect(source.calls).toBe(2);
    });

    it('P5 a load that goes on after a soft timeout is fenced', async () => {
      const { clock, cache, source, read } = setUp({ ttl: 10, grace: 60, softTimeout: 0.1 });
      source.gate.resolve('old');
      await read();
      await clock.advanceAsync(10_000);
      source.next();
      const caller = read();
      await clock.advanceAsync(100);
      await caller;
      await cache.delete('k');
      source.gate.resolve('stale by now');
      await clock.advanceAsync(0);
      expect(await cache.lookup('k', { allowStale: true })).toEqual({ hit: false });
      expect(cache.loadsUnderWay).toBe(0);
    });

    it('a soft timeout without a stale value waits for the loader', async () => {
      const { clock, source, read } = setUp({ softTimeout: 0.1, grace: 60 });
      const caller = read();
      await clock.advanceAsync(1_000);
      source.gate.resolve('v');
      expect(await caller).toBe('v');
    });

    it('a hard timeout with a stale value in reach serves it', async () => {
      const { clock, source, read } = setUp({ ttl: 10, grace: 60, hardTimeout: 1 });
      source.gate.resolve('old');
      await read();
      await clock.advanceAsync(10_000);
      source.next();
      const caller = read();
      await clock.advanceAsync(1_000);
      expect(await caller).toBe('old');
    });

    it('the outcome says that a value is stale, and statistics count it', async () => {
      const { clock, cache, source } = setUp();
      const read = () => cache.getOrSetDetailed('k', source.load, { ttl: 10, grace: 60 });
      source.gate.resolve('old');
      expect(await read()).toMatchObject({ value: 'old', outcome: 'loaded', stored: true });
      expect(await read()).toMatchObject({ value: 'old', outcome: 'hit' });
      await clock.advanceAsync(10_000);
      source.next();
      source.gate.reject(new Error('source'));
      expect(await read()).toMatchObject({ value: 'old', outcome: 'stale', stored: false });
      expect(await cache.lookup('k', { allowStale: true })).toMatchObject({ stale: true });
      expect(await cache.stats()).toMatchObject({ staleHits: 2, loadErrors: 1, loads: 2 });
    });

    it('getOrSet and getOrSetMany count alike: a stale value is a hit, a load that fails is a miss', async () => {
      const { clock, cache } = setUp();
      await cache.setMany({ a: 1, b: 1 }, { ttl: 10, grace: 60 });
      await clock.advanceAsync(10_000);
      const fail = (): never => {
        throw new Error('source');
      };
      expect(await cache.getOrSetMany(['a'], fail)).toEqual([1]);
      expect(await cache.stats()).toMatchObject({ hits: 1, staleHits: 1, misses: 0 });
      expect(await cache.getOrSet('b', fail)).toBe(1);
      expect(await cache.stats()).toMatchObject({ hits: 2, staleHits: 2, misses: 0 });
      await expect(cache.getOrSet('c', fail)).rejects.toThrow('source');
      await expect(cache.getOrSetMany(['d'], fail)).rejects.toMatchObject({ code: 'BULK_LOAD' });
      expect(await cache.stats()).toMatchObject({ hits: 2, misses: 2 });
    });

    it('with both errorTtl and grace, the stale value keeps serving for the whole throttle', async () => {
      const { clock, source, read } = setUp({ ttl: 10, grace: 60, errorTtl: 5 });
      source.gate.resolve('old');
      await read();
      await clock.advanceAsync(10_000);
      source.next();
      source.gate.reject(new Error('source'));
      expect(await read()).toBe('old');
      expect(await read()).toBe('old');
      expect(source.calls).toBe(2);
    });

    if (isMemory)
      it('expireTags and expireScope mark stale: no hit, but grace may serve', async () => {
        const { cache, source, read } = setUp({ ttl: 10, grace: 60, tags: ['t'] });
        source.gate.resolve('old');
        await read();
        expect(await cache.expireTags('t')).toBe(1);
        expect(await cache.get('k')).toBeUndefined();
        source.next();
        source.gate.reject(new Error('source'));
        expect(await read()).toBe('old');
        await cache.set('k', 'new', { grace: 60 });
        expect(await cache.expireScope('global')).toBe(1);
        expect(await cache.has('k')).toBe(false);
        expect(await cache.has('k', { allowStale: true })).toBe(true);
        expect(await cache.evictTags('t')).toBe(0);
        expect(await cache.evictScope('global')).toBe(0);
        expect(await cache.has('k', { allowStale: true })).toBe(false);
      });
  });

  describe('early refresh', () => {
    it('a hit later than refreshAhead of its TTL refreshes in the background, once, and serves at once', async () => {
      const { clock, cache, source, read } = setUp({ ttl: 10, refreshAhead: 0.8 });
      source.gate.resolve('old');
      await read();
      await clock.advanceAsync(7_999);
      await read();
      expect(source.calls).toBe(1);
      await clock.advanceAsync(1);
      source.next();
      expect(await Promise.all([read(), read(), read()])).toEqual(['old', 'old', 'old']);
      await clock.advanceAsync(0);
      expect(source.calls).toBe(2);
      source.gate.resolve('new');
      await clock.advanceAsync(0);
      expect(await cache.get('k')).toBe('new');
    });

    it('a call after expiry joins the refresh that is under way', async () => {
      const { clock, source, read } = setUp({ ttl: 10, refreshAhead: 0.8 });
      source.gate.resolve('old');
      await read();
      await clock.advanceAsync(9_000);
      source.next();
      await read();
      await clock.advanceAsync(1_000);
      const late = read();
      await clock.advanceAsync(0);
      expect(source.calls).toBe(2);
      source.gate.resolve('new');
      expect(await late).toBe('new');
    });

    it('P5 (f) a refresh under way is fenced by an eviction, and nobody joins it afterwards', async () => {
      const { clock, cache, source, read } = setUp({ ttl: 10, refreshAhead: 0.5 });
      source.gate.resolve('old');
      await read();
      await clock.advanceAsync(6_000);
      source.next();
      await read();
      await clock.advanceAsync(0);
      expect(source.calls).toBe(2);
      await cache.evictScope('global');
      const refresh = source.gate;
      source.next();
      const late = read();
      refresh.resolve('older');
      source.gate.resolve('new');
      expect(await late).toBe('new');
      expect(await cache.get('k')).toBe('new');
    });

    it('a refresh that fails leaves the value, is reported, and is not repeated within the throttle', async () => {
      const { clock, cache, source, read, listener } = setUp({ ttl: 10, refreshAhead: 0.5 });
      source.gate.resolve('old');
      await read();
      await clock.advanceAsync(6_000);
      source.next();
      source.gate.reject(new RangeError('source'));
      expect(await read()).toBe('old');
      await clock.advanceAsync(0);
      expect(await read()).toBe('old');
      expect(source.calls).toBe(2);
      expect(listener.faults).toMatchObject([{ during: 'load', key: 'k' }]);
      expect(await cache.get('k')).toBe('old');
    });

    it('XFetch refreshes before expiry when chance and the load’s duration say so, and never far from it', async () => {
      let chance = 0;
      const clock = new ManualClock();
      const cache = createTestCache(
        { storage: makeStorage() },
        { clock, platform: { random: () => chance } },
      );
      let loads = 0;
      const read = () =>
        cache.getOrSet('k', () => clock.advance(100) ?? ++loads, { ttl: 10, earlyExpiration: 1 });
      await read();
      chance = 0.999;
      await read();
      await clock.advanceAsync(0);
      expect(loads).toBe(1);
      await clock.advanceAsync(9_500);
      chance = 0;
      await read();
      await clock.advanceAsync(0);
      expect(loads).toBe(1);
      chance = 0.999;
      await read();
      await clock.advanceAsync(0);
      expect(loads).toBe(2);
    });
  });

  it('jitter moves the TTL by up to its fraction, both ways', async () => {
    for (const [chance, expected] of [
      [0, 8_000],
      [0.5, 10_000],
      [0.999_999, 12_000],
    ] as const) {
      const clock = new ManualClock();
      const cache = createTestCache(
        { storage: makeStorage() },
        { clock, platform: { random: () => chance } },
      );
      await cache.set('k', 1, { ttl: 10, jitter: 0.2 });
      await clock.advanceAsync(expected - 1);
      expect(await cache.has('k')).toBe(true);
      await clock.advanceAsync(1);
      expect(await cache.has('k')).toBe(false);
    }
  });

  describe('a loader that decides', () => {
    it('sets the TTL; 0 does not store', async () => {
      const { clock, cache } = setUp();
      await cache.getOrSet('k', (context) => (context.setTtl('2s'), 1));
      await clock.advanceAsync(1_999);
      expect(await cache.has('k')).toBe(true);
      await clock.advanceAsync(1);
      expect(await cache.has('k')).toBe(false);
      expect(await cache.getOrSet('k', (context) => (context.setTtl(0), 1))).toBe(1);
      expect(await cache.has('k')).toBe(false);
    });

    it('adds tags to those of the call', async () => {
      const { cache } = setUp();
      await cache.getOrSet('k', (context) => (context.addTags('b'), 1), { tags: ['a'] });
      expect(await cache.lookup('k')).toMatchObject({ tags: ['a', 'b'] });
    });

    it('skips storing', async () => {
      const { cache } = setUp();
      expect(await cache.getOrSet('k', (context) => (context.skipStore(), 1))).toBe(1);
      expect(await cache.has('k')).toBe(false);
    });

    it('marks a negative result with a TTL of its own and no grace', async () => {
      const { clock, cache } = setUp();
      await cache.getOrSet('k', (context) => (context.negative(1), null), { ttl: 10, grace: 60 });
      await clock.advanceAsync(999);
      expect(await cache.has('k')).toBe(true);
      await clock.advanceAsync(1);
      expect(await cache.has('k', { allowStale: true })).toBe(false);
    });

    it('sees the stale value, for conditional requests', async () => {
      const { clock, cache } = setUp();
      await cache.set('k', { etag: 'e1' }, { ttl: 1, grace: 60 });
      await clock.advanceAsync(1_000);
      const value = await cache.getOrSet('k', ({ stale }) =>
        stale.hit && stale.stale ? stale.value : 'not seen',
      );
      expect(value).toEqual({ etag: 'e1' });
    });

    it('an invalid decision rejects the load and stores nothing', async () => {
      const { cache } = setUp();
      await expect(cache.getOrSet('k', (context) => (context.setTtl(-1), 1))).rejects.toMatchObject(
        { code: 'INVALID_DURATION' },
      );
      await expect(
        cache.getOrSet('k', (context) => (context.addTags(''), 1)),
      ).rejects.toMatchObject({ code: 'INVALID_KEY' });
      expect(await cache.has('k')).toBe(false);
    });

    it('with errorTtl an error is remembered, thrown again and never returned as a value; a write forgets it', async () => {
      const { clock, cache, source, read } = setUp({ errorTtl: 5 });
      source.gate.reject(new RangeError('source'));
      await expect(read()).rejects.toThrow('source');
      await expect(read()).rejects.toThrow('source');
      expect(source.calls).toBe(1);
      expect(await cache.lookup('k')).toEqual({ hit: false });
      await clock.advanceAsync(5_000);
      await expect(read()).rejects.toThrow('source');
      expect(source.calls).toBe(2);
      await cache.delete('k');
      source.next();
      source.gate.resolve('v');
      expect(await read()).toBe('v');
    });

    it.each([
      ['deleted', (cache: Cache) => cache.delete('k')],
      ['evicted with its scope', (cache: Cache) => cache.evictScope('global')],
      ['evicted by tags', (cache: Cache) => cache.evictTags('t')],
    ])('P5 an error of a load that was %s meanwhile is not remembered', async (_, outdate) => {
      for (const end of ['fails', 'times out']) {
        const { clock, cache, source, read } = setUp({ errorTtl: 5, hardTimeout: 1 });
        const early = read();
        const rejected = expect(early).rejects.toBeInstanceOf(Error);
        await clock.advanceAsync(0);
        await outdate(cache);
        if (end === 'fails') source.gate.reject(new RangeError('source'));
        await clock.advanceAsync(1_000);
        await rejected;
        source.next();
        source.gate.resolve('v');
        expect(await read()).toBe('v');
      }
    });
  });

  describe('bulk', () => {
    it('CA-39 the loader is called once, with the missing keys only, and results come in order', async () => {
      const { cache } = setUp();
      await cache.set('b', 'cached');
      const asked: string[][] = [];
      const values = await cache.getOrSetMany(['a', 'b', 'c', 'a'], async (keys) => {
        asked.push([...keys]);
        return keys.map((key) => `${key} loaded`);
      });
      expect(values).toEqual(['a loaded', 'cached', 'c loaded', 'a loaded']);
      expect(asked).toEqual([['a', 'c']]);
      expect(await cache.get('c')).toBe('c loaded');
    });

    it('SC-36 warming asks for missing keys only, and for nothing when all are there', async () => {
      const { cache } = setUp();
      await cache.setMany({ a: 1, b: 0 });
      const load = () => {
        throw new Error('must not be asked');
      };
      expect(await cache.getOrSetMany(['a', 'b'], load)).toEqual([1, 0]);
      expect(await cache.getOrSetMany([], load)).toEqual([]);
    });

    it('single-flight per key is shared with getOrSet and with other bulk calls', async () => {
      const { clock, cache, source, read } = setUp();
      const single = read();
      await clock.advanceAsync(0);
      const asked: string[][] = [];
      const gate = deferred();
      const load = async (keys: string[]) => {
        asked.push([...keys]);
        await gate.promise;
        return keys;
      };
      const first = cache.getOrSetMany(['k', 'l'], load);
      await clock.advanceAsync(0);
      const second = cache.getOrSetMany(['l', 'm', 'k'], load);
      await clock.advanceAsync(0);
      const third = cache.getOrSet('m', () => 'must not be asked');
      await clock.advanceAsync(10);
      source.gate.resolve('from getOrSet');
      gate.resolve();
      expect(await single).toBe('from getOrSet');
      expect(await first).toEqual(['from getOrSet', 'l']);
      expect(await second).toEqual(['l', 'm', 'from getOrSet']);
      expect(await third).toBe('m');
      expect(asked).toEqual([['l'], ['m']]);
      expect(cache.loadsUnderWay).toBe(0);
    });

    it('partial failures are told per key; the others are stored', async () => {
      const { cache } = setUp();
      const failed = await cache
        .getOrSetMany(['a', 'b'], (keys) =>
          keys.map((key) => (key === 'b' ? new RangeError(key) : key)),
        )
        .catch((error: unknown) => error);
      expect(failed).toMatchObject({
        code: 'BULK_LOAD',
        results: [
          { status: 'fulfilled', value: 'a' },
          { status: 'rejected', reason: { message: 'b' } },
        ],
      });
      expect(await cache.getMany(['a', 'b'])).toEqual(['a', undefined]);
    });

    it('a loader that returns too few values, or none, fails for all its keys', async () => {
      const { cache } = setUp();
      for (const answer of [[1], undefined, 'ab'])
        await expect(
          cache.getOrSetMany(['a', 'b'], () => answer as unknown[]),
        ).rejects.toMatchObject({ code: 'BULK_LOAD' });
      expect(await cache.getMany(['a', 'b'])).toEqual([undefined, undefined]);
    });

    it('hits later than refreshAhead of their TTL are refreshed in the background, by one call of the loader', async () => {
      const { clock, cache } = setUp();
      const asked: string[][] = [];
      const load = (keys: string[]) => {
        asked.push([...keys]);
        return keys.map((key) => `${key} ${asked.length}`);
      };
      const read = () => cache.getOrSetMany(['a', 'b', 'c'], load, { ttl: 10, refreshAhead: 0.8 });
      await read();
      await clock.advanceAsync(7_999);
      expect(await read()).toEqual(['a 1', 'b 1', 'c 1']);
      await cache.delete('c');
      await clock.advanceAsync(1);
      expect(await read()).toEqual(['a 1', 'b 1', expect.stringMatching('c .')]);
      await clock.advanceAsync(10);
      expect(await cache.getMany(['a', 'b'])).toEqual(
        expect.arrayContaining([expect.stringMatching(/a [23]/), expect.stringMatching(/b [23]/)]),
      );
      expect(asked.slice(1).sort()).toEqual([['a', 'b'], ['c']]);
      expect(cache.loadsUnderWay).toBe(0);
    });

    it('a refresh that fails fails nobody', async () => {
      const { clock, cache } = setUp();
      await cache.setMany({ a: 1, b: 2 }, { ttl: 10 });
      await clock.advanceAsync(9_000);
      const fails = () => Promise.reject(new RangeError('source'));
      const options = { refreshAhead: 0.5 };
      expect(await cache.getOrSetMany(['a', 'b'], fails, options)).toEqual([1, 2]);
      await clock.advanceAsync(100);
      expect(await cache.getOrSetMany(['a', 'b'], fails, options)).toEqual([1, 2]);
    });

    it('what the loader decides holds for all keys of its batch', async () => {
      const { clock, cache } = setUp();
      await cache.getOrSetMany(['a', 'b'], (keys, context) => {
        context.addTags('t');
        context.setTtl(1);
        return keys;
      });
      for (const key of ['a', 'b']) expect(await cache.lookup(key)).toMatchObject({ tags: ['t'] });
      await clock.advanceAsync(1_000);
      expect(await cache.getMany(['a', 'b'])).toEqual([undefined, undefined]);
    });
  });

  it('getInherited looks at session, user, org and global in that order and says where it was found', async () => {
    const { cache } = setUp();
    const scope = { org: 'o', user: 'u', session: 's' };
    expect(await cache.getInherited('theme', { scope })).toEqual({ hit: false });
    await cache.set('theme', 'default');
    await cache.set('theme', 'of the org', { scope: { org: 'o' } });
    expect(await cache.getInherited('theme', { scope })).toMatchObject({
      value: 'of the org',
      scope: { org: 'o' },
    });
    await cache.set('theme', undefined, { scope: { org: 'o', user: 'u' } });
    expect(await cache.getInherited('theme', { scope })).toMatchObject({
      hit: true,
      value: undefined,
      scope: { org: 'o', user: 'u' },
    });
    expect(await cache.getInherited('theme', { scope: { org: 'p' } })).toMatchObject({
      value: 'default',
      scope: 'global',
    });
  });

  it('joiners of a load that a tag eviction outdated load anew', async () => {
    const { clock, cache, source, read } = setUp({ tags: ['t'] });
    const early = read();
    await clock.advanceAsync(0);
    const old = source.gate;
    source.next();
    await cache.evictTags('t');
    const late = read();
    await clock.advanceAsync(0);
    old.resolve('old');
    source.gate.resolve('new');
    expect(await early).toBe('old');
    expect(await late).toBe('new');
    expect(await cache.get('k')).toBe('new');
  });
});
