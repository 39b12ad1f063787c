import { memoryStorage, type Cache, type LoadContext, type LoadOptions } from 'nestjs-scoped-cache';
import {
  createTestCache,
  deferred,
  ManualClock,
  mapStorage,
  RecordingListener,
} from 'nestjs-scoped-cache/testing';

/**
 * The loading behaviours of FusionCache's public tests (L1Tests) in our terms, each on a clock that stands still; see
 * docs/loading.md for those that do not apply.
 */
const DOWN = new RangeError('Sloths are cool');

describe.each([
  ['memory', () => memoryStorage()],
  ['a minimal storage', () => mapStorage()],
] as const)('FusionCache L1Tests on %s', (storageName, makeStorage) => {
  let clock: ManualClock;
  let cache: Cache;
  let listener: RecordingListener;

  beforeEach(() => {
    clock = new ManualClock();
    listener = new RecordingListener();
    cache = createTestCache({ storage: makeStorage(), storageTimeout: '1h', listener }, { clock });
  });
  afterEach(async () => {
    expect(cache.loadsUnderWay).toBe(0);
    await cache.close();
    expect(clock.pending).toBe(0);
  });

  const failing = (): Promise<never> => Promise.reject(DOWN);
  /** Takes `ms` on the clock. */
  const slow = <T>(ms: number, result: () => T) => {
    const load = Object.assign(
      async (_load: LoadContext): Promise<T> => {
        load.calls++;
        await new Promise<void>((done) => {
          clock.after(ms, done);
        });
        return result();
      },
      { calls: 0 },
    );
    return load;
  };
  /** A minimal storage answers calls for one key one by one. */
  const inTurn = async () => {
    for (let turn = 0; turn < 10; turn++) await clock.advanceAsync(0);
  };
  const fail = (): never => {
    throw DOWN;
  };
  const stale = async () => cache.lookup<number>('foo', { allowStale: true });
  const expired = async (options: LoadOptions = { ttl: 1, grace: 600 }) => {
    await cache.getOrSet('foo', () => 42, options);
    await clock.advanceAsync(1_000);
  };

  it('L1Tests.CanRemove: a removed value is gone', async () => {
    await cache.set('foo', 42);
    expect(await cache.get('foo')).toBe(42);
    await cache.delete('foo');
    expect(await cache.get('foo')).toBeUndefined();
  });

  it.each(['ReturnsStaleDataWhenFactoryFails', 'ReturnsStaleDataWhenFactoryFailsWithoutException'])(
    'L1Tests.%s: whether the loader throws or rejects, the stale value serves; without grace the error comes out',
    async (name) => {
      const load = name.endsWith('Exception') ? failing : fail;
      await expired();
      expect(await cache.getOrSet('foo', load, { grace: 600 })).toBe(42);
      await cache.delete('foo');
      await expect(cache.getOrSet('foo', load)).rejects.toBe(DOWN);
    },
  );

  it('L1Tests.ThrowsWhenFactoryThrowsWithoutFailSafe: an expired value without grace is no way out', async () => {
    await expired({ ttl: 1 });
    await expect(cache.getOrSet('foo', fail)).rejects.toBe(DOWN);
  });

  it.each(['ThrowsOnFactoryHardTimeoutWithoutStaleData', 'DoesHardTimeoutEvenWithoutStaleData'])(
    'L1Tests.%s: the caller is rejected at the hard timeout, exactly',
    async () => {
      const caller = cache.getOrSet(
        'foo',
        slow(5_000, () => 21),
        { hardTimeout: 1, grace: 60 },
      );
      let settledAt: number | undefined;
      caller.catch(() => (settledAt = clock.monotonic()));
      await clock.advanceAsync(999);
      expect(settledAt).toBeUndefined();
      await clock.advanceAsync(1);
      await expect(caller).rejects.toMatchObject({ code: 'LOAD_TIMEOUT' });
      expect(settledAt).toBe(1_000);
      await clock.advanceAsync(5_000);
      expect(await cache.has('foo')).toBe(false);
    },
  );

  it('L1Tests.ReturnsStaleDataWhenFactorySoftTimeoutWithFailSafe', async () => {
    await expired();
    const caller = cache.getOrSet(
      'foo',
      slow(1_000, () => 21),
      { softTimeout: 0.1, grace: 600 },
    );
    await clock.advanceAsync(100);
    expect(await caller).toBe(42);
    await clock.advanceAsync(900);
  });

  it('L1Tests.DoesNotSoftTimeoutWithoutStaleData: there is nothing to serve, so it waits', async () => {
    const caller = cache.getOrSet(
      'foo',
      slow(1_000, () => 21),
      { softTimeout: 0.1, grace: 600 },
    );
    await clock.advanceAsync(1_000);
    expect(await caller).toBe(21);
  });

  it('L1Tests.ReturnsStaleDataWhenFactoryHitHardTimeoutWithFailSafe', async () => {
    await expired();
    const caller = cache.getOrSet(
      'foo',
      slow(5_000, () => 21),
      { hardTimeout: 0.5, grace: 600 },
    );
    await clock.advanceAsync(500);
    expect(await caller).toBe(42);
    await clock.advanceAsync(5_000);
    expect(await stale()).toMatchObject({ value: 42, stale: true });
  });

  it('L1Tests.HandlesBackgroundFactoryException: a load that fails after the soft timeout is reported, and throttles the next', async () => {
    await expired();
    const options = { softTimeout: 0.1, grace: 600, graceThrottle: 2 };
    const background = slow(1_000, fail);
    const second = cache.getOrSet('foo', background, options);
    await clock.advanceAsync(100);
    expect(await second).toBe(42);
    await clock.advanceAsync(900);
    expect(listener.faults).toMatchObject([{ during: 'load', error: DOWN }]);
    expect(await cache.getOrSet('foo', background, options)).toBe(42);
    await clock.advanceAsync(1_999);
    expect(await cache.getOrSet('foo', background, options)).toBe(42);
    expect(background.calls).toBe(1);
    await clock.advanceAsync(1);
    const third = cache.getOrSet('foo', background, options);
    await clock.advanceAsync(1_000);
    expect(await third).toBe(42);
    expect(background.calls).toBe(2);
  });

  it('L1Tests.SetOverwritesAnExistingValue', async () => {
    await cache.set('foo', 42);
    await cache.set('foo', 21);
    expect(await cache.get('foo')).toBe(21);
  });

  it('L1Tests.GetOrSetDoesNotOverwriteANonExpiredValue', async () => {
    expect(await cache.getOrSet('foo', () => 42)).toBe(42);
    expect(await cache.getOrSet('foo', () => 21)).toBe(42);
  });

  it('L1Tests.DoesNotReturnStaleDataIfFactorySucceeds', async () => {
    await expired();
    expect(await cache.getOrSet('foo', () => 21, { grace: 600 })).toBe(21);
  });

  it('L1Tests.GetOrDefaultDoesReturnStaleDataWithFailSafe: a read sees a stale value when it asks for one', async () => {
    await expired();
    expect(await stale()).toMatchObject({ hit: true, value: 42, stale: true });
  });

  it('L1Tests.GetOrDefaultDoesNotReturnStaleDataWithoutFailSafe: and only then', async () => {
    await expired();
    expect(await cache.get('foo', { default: 21 })).toBe(21);
    await cache.set('foo', 1, { ttl: 1 });
    await clock.advanceAsync(1_000);
    expect(await stale()).toEqual({ hit: false });
  });

  it('L1Tests.FactoryTimedOutButSuccessfulDoesUpdateCachedValue: a load that outlives the soft timeout still stores', async () => {
    await expired();
    const caller = cache.getOrSet(
      'foo',
      slow(1_000, () => 21),
      {
        softTimeout: 0.1,
        grace: 600,
        ttl: 60,
      },
    );
    await clock.advanceAsync(100);
    expect(await caller).toBe(42);
    await clock.advanceAsync(900);
    expect(await cache.get('foo')).toBe(21);
  });

  it('L1Tests.TryGetReturnsCorrectly: a miss and a hit are different things', async () => {
    expect(await cache.lookup('foo')).toEqual({ hit: false });
    await cache.set('foo', undefined);
    expect(await cache.lookup('foo')).toMatchObject({ hit: true, value: undefined });
  });

  it('L1Tests.GetOrDefaultDoesNotSet: a default is not stored', async () => {
    expect(await cache.get('foo', { default: 42 })).toBe(42);
    expect(await cache.has('foo')).toBe(false);
  });

  it('L1Tests.GetOrSetWithDefaultValueWorks: a loader that returns a plain value', async () => {
    await cache.getOrSet('foo', () => 42, { ttl: '24h' });
    expect(await cache.get('foo', { default: 21 })).toBe(42);
  });

  it('L1Tests.ThrottleDurationWorksCorrectly: a failing source is asked once in a throttle, by however many', async () => {
    await expired();
    const source = slow(0, fail);
    const read = () => cache.getOrSet('foo', source, { grace: 600, graceThrottle: 2 });
    const many = Array.from({ length: 10 }, read);
    await inTurn();
    expect(await Promise.all(many)).toEqual(Array(10).fill(42));
    await clock.advanceAsync(1_999);
    expect(await read()).toBe(42);
    expect(source.calls).toBe(1);
    await clock.advanceAsync(1);
    const again = read();
    await clock.advanceAsync(0);
    expect(await again).toBe(42);
    expect(source.calls).toBe(2);
    await clock.advanceAsync(2_000);
  });

  it('L1Tests.AdaptiveCaching: the loader chooses the TTL from what it found', async () => {
    const read = (ttl: number) =>
      cache.getOrSet('foo', (load) => (load.setTtl(ttl), ttl), { ttl: 10 });
    expect(await read(1)).toBe(1);
    await clock.advanceAsync(1_000);
    expect(await read(5)).toBe(5);
    await clock.advanceAsync(4_999);
    expect(await read(7)).toBe(5);
    await clock.advanceAsync(1);
    expect(await cache.has('foo')).toBe(false);
  });

  it('L1Tests.AdaptiveCachingWithBackgroundFactoryCompletion: also when it outlives the soft timeout', async () => {
    await expired();
    const load = async (context: LoadContext) => {
      await slow(1_000, () => undefined)(context);
      context.setTtl(5);
      return 21;
    };
    const caller = cache.getOrSet('foo', load, { softTimeout: 0.1, grace: 600, ttl: 60 });
    await clock.advanceAsync(100);
    expect(await caller).toBe(42);
    await clock.advanceAsync(900);
    expect(await cache.get('foo')).toBe(21);
    await clock.advanceAsync(4_999);
    expect(await cache.get('foo')).toBe(21);
    await clock.advanceAsync(1);
    expect(await cache.get('foo')).toBeUndefined();
  });

  it('L1Tests.AdaptiveCachingDoesNotChangeOptions: what a loader decides stays with its own result', async () => {
    const options = Object.freeze({ ttl: 10, tags: Object.freeze(['a']) as unknown as string[] });
    await cache.getOrSet('foo', (load) => (load.setTtl(20), load.addTags('b'), 1), options);
    expect(options).toEqual({ ttl: 10, tags: ['a'] });
    await cache.getOrSet('bar', () => 2, options);
    await clock.advanceAsync(10_000);
    expect([await cache.has('foo'), await cache.has('bar')]).toEqual([true, false]);
    expect(await cache.evictTags('b')).toBe(1);
  });

  it('L1Tests.AdaptiveCachingCanWorkOnException: a loader may say that its failure is final, so that no stale value hides it', async () => {
    await expired();
    const gone = (load: LoadContext): never => {
      load.setGrace(0);
      throw DOWN;
    };
    const read = (load: (context: LoadContext) => number, options: LoadOptions = {}) =>
      cache.getOrSet('foo', load, { grace: 600, ...options });
    await expect(read(gone)).rejects.toBe(DOWN);
    await expect(read(gone, { errorTtl: 5 })).rejects.toBe(DOWN);
    await expect(read(() => 1, { errorTtl: 5 })).rejects.toBe(DOWN);
    await clock.advanceAsync(5_000);
    expect(await read(fail)).toBe(42);
    await clock.advanceAsync(1_000);
    expect(await read((load) => (load.setGrace(1), 7), { ttl: 1 })).toBe(7);
    await clock.advanceAsync(2_000);
    expect(await stale()).toEqual({ hit: false });
  });

  it.each(['FailSafeMaxDurationNormalizationOccurs', 'FailSafeMaxDurationIsRespected'])(
    'L1Tests.%s: grace counts from the end of the TTL, so it never shortens a life, and it ends',
    async () => {
      await cache.set('foo', 42, { ttl: 10, grace: 1 });
      await clock.advanceAsync(9_999);
      expect(await cache.get('foo')).toBe(42);
      await clock.advanceAsync(1);
      expect(await cache.getOrSet('foo', fail, { graceThrottle: 0 })).toBe(42);
      await clock.advanceAsync(999);
      expect(await stale()).toMatchObject({ value: 42 });
      await clock.advanceAsync(1);
      await expect(cache.getOrSet('foo', fail)).rejects.toBe(DOWN);
    },
  );

  it('L1Tests.ReturnsStaleDataWithoutSavingItWhenNoFactory: serving a stale value does not make it fresh', async () => {
    await expired();
    for (let round = 0; round < 2; round++) {
      expect(await stale()).toMatchObject({ value: 42, stale: true });
      expect(await cache.get('foo', { default: 1 })).toBe(1);
    }
  });

  it('L1Tests.CanHandleInfiniteOrSimilarDurations', async () => {
    await cache.set('foo', 42, { ttl: 'forever', grace: 'forever', jitter: 0.5 });
    await cache.set('bar', 21, { ttl: '36500d' });
    // Beyond 2^31 ms, where timers of Node.js overflow.
    clock.advance(86_400_000 * 30);
    expect(await cache.getMany(['foo', 'bar'])).toEqual([42, 21]);
  });

  it('L1Tests.CanHandleZeroDurations: nothing is kept, and what was there goes', async () => {
    await cache.set('foo', 10, { ttl: 60 });
    await cache.set('foo', 20, { ttl: 0 });
    expect(await cache.get('foo', { default: 1 })).toBe(1);
    expect(await cache.getOrSet('foo', () => 30, { ttl: 0 })).toBe(30);
    expect(await cache.has('foo')).toBe(false);
  });

  it('L1Tests.CanHandleNegativeDurations: an error, and nothing changes', async () => {
    await cache.set('foo', 10);
    await expect(cache.set('foo', 20, { ttl: -1 })).rejects.toMatchObject({
      code: 'INVALID_DURATION',
    });
    expect(await cache.get('foo')).toBe(10);
  });

  it('L1Tests.CanConditionalRefresh: ETag and Last-Modified travel in the value; "not modified" keeps the stale one', async () => {
    const endpoint = { value: 1, total: 0, conditional: 0, full: 0, notModified: 0 };
    const fetch = (etag?: string) => {
      endpoint.total++;
      const current = `"v${endpoint.value}"`;
      if (etag !== undefined) endpoint.conditional++;
      if (etag === current) return void endpoint.notModified++;
      endpoint.full++;
      return { value: endpoint.value, etag: current };
    };
    const read = () =>
      cache.getOrSet(
        'foo',
        ({ stale: previous }) => {
          const known = previous.hit
            ? (previous.value as { value: number; etag: string })
            : undefined;
          return fetch(known?.etag) ?? known!;
        },
        { ttl: 1, grace: 600 },
      );
    const values: number[] = [];
    for (const next of [1, 1, 1, 42]) {
      endpoint.value = next;
      values.push((await read()).value, (await read()).value);
      await clock.advanceAsync(1_000);
    }
    expect(values).toEqual([1, 1, 1, 1, 1, 1, 42, 42]);
    expect(endpoint).toMatchObject({ total: 4, conditional: 3, full: 2, notModified: 2 });
  });

  it('L1Tests.CanEagerRefresh: a hit past the threshold refreshes in the background; expiry then counts from the refresh', async () => {
    let version = 0;
    const read = () => cache.getOrSet('foo', () => ++version, { ttl: 2, refreshAhead: 0.2 });
    expect([await read(), await read()]).toEqual([1, 1]);
    await clock.advanceAsync(400);
    expect(await read()).toBe(1);
    await clock.advanceAsync(0);
    expect(await read()).toBe(2);
    await clock.advanceAsync(2_000);
    expect([await read(), await read()]).toEqual([3, 3]);
  });

  it('L1Tests.CanEagerRefreshWithInfiniteDuration: what never expires is never refreshed', async () => {
    let calls = 0;
    const read = () =>
      cache.getOrSet('foo', () => ++calls, {
        ttl: 'forever',
        refreshAhead: 0.1,
        earlyExpiration: 9,
      });
    await read();
    clock.advance(86_400_000 * 30);
    expect(await read()).toBe(1);
    expect(calls).toBe(1);
  });

  it('L1Tests.CanEagerRefreshNoCancellation: the refresh goes on after its caller has its answer', async () => {
    await cache.getOrSet('foo', () => 1, { ttl: 2 });
    await clock.advanceAsync(1_000);
    const signals: AbortSignal[] = [];
    const refresh = slow(5_000, () => 2);
    const load = (context: LoadContext) => (signals.push(context.signal), refresh(context));
    expect(await cache.getOrSet('foo', load, { ttl: 2, refreshAhead: 0.1 })).toBe(1);
    await clock.advanceAsync(5_000);
    expect([refresh.calls, signals[0]!.aborted]).toEqual([1, false]);
    expect(await cache.getOrSet('foo', fail)).toBe(2);
  });

  it('L1Tests.NormalFactoryExecutionWaitsForInFlightEagerRefresh: a call after expiry joins the refresh that is under way', async () => {
    await cache.getOrSet('foo', () => 1, { ttl: 2 });
    await clock.advanceAsync(1_900);
    const refresh = slow(1_000, () => 2);
    expect(await cache.getOrSet('foo', refresh, { ttl: 2, refreshAhead: 0.5 })).toBe(1);
    await clock.advanceAsync(100);
    const joined = cache.getOrSetDetailed('foo', fail, { ttl: 2 });
    await clock.advanceAsync(900);
    expect(await joined).toMatchObject({ value: 2, outcome: 'joined' });
    expect(refresh.calls).toBe(1);
  });

  it('L1Tests.EagerRefreshDoesNotBreakStampedeProtection: 1,000 hits past the threshold start one refresh', async () => {
    await cache.set('foo', 42, { ttl: 10 });
    await clock.advanceAsync(1_000);
    const refresh = slow(5_000, () => 43);
    const read = () => cache.getOrSet('foo', refresh, { ttl: 10, refreshAhead: 0.1 });
    const values = new Set<number>();
    for (let round = 0; round < 100; round++) {
      for (const value of await Promise.all(Array.from({ length: 10 }, read))) values.add(value);
      await clock.advanceAsync(40);
    }
    await clock.advanceAsync(1_000);
    expect([refresh.calls, [...values]]).toEqual([1, [42]]);
    expect(await cache.get('foo')).toBe(43);
  });

  it('L1Tests.SoftTimeoutDoesNotBreakStampedeProtection: while the load goes on, later calls join it rather than start another', async () => {
    await expired();
    const load = slow(10_000, () => 43);
    const round = async () => {
      const callers = Array.from({ length: 10 }, () =>
        cache.getOrSet('foo', load, { softTimeout: 1, grace: 600, ttl: 60 }),
      );
      await inTurn();
      await clock.advanceAsync(1_000);
      return Promise.all(callers);
    };
    expect(await round()).toEqual(Array(10).fill(42));
    expect(await round()).toEqual(Array(10).fill(42));
    expect(load.calls).toBe(1);
    await clock.advanceAsync(8_000);
    expect(await cache.get('foo')).toBe(43);
  });

  it('L1Tests.CanSoftFailWithSoftTimeout: a failure after the soft timeout leaves the stale value usable', async () => {
    await expired();
    const caller = cache.getOrSet('foo', slow(1_000, fail), { softTimeout: 0.1, grace: 600 });
    await clock.advanceAsync(100);
    expect(await caller).toBe(42);
    await clock.advanceAsync(1_000);
    expect(await stale()).toMatchObject({ value: 42 });
    await clock.advanceAsync(1_000);
  });

  it('L1Tests.JitteringIsNotUsedWhenActivatingFailSafe: serving stale changes neither the end of its grace nor the throttle', async () => {
    await cache.set('foo', 42, { ttl: 10, grace: 10 });
    await clock.advanceAsync(10_000);
    const source = slow(0, fail);
    const read = async () => {
      const caller = cache.getOrSet('foo', source, { jitter: 1, grace: 600, graceThrottle: 2 });
      caller.catch(() => undefined);
      await clock.advanceAsync(0);
      return caller;
    };
    expect(await read()).toBe(42);
    await clock.advanceAsync(1_999);
    expect([await read(), source.calls]).toEqual([42, 1]);
    await clock.advanceAsync(1);
    expect([await read(), source.calls]).toEqual([42, 2]);
    await clock.advanceAsync(7_999);
    expect(await stale()).toMatchObject({ hit: true });
    await clock.advanceAsync(1);
    await expect(read()).rejects.toBe(DOWN);
  });

  it('L1Tests.CanRemoveByTag, CanRemoveByTagMulti: entries with one of the tags go, the others stay', async () => {
    await cache.set('foo', 1, { tags: ['x', 'y'] });
    await cache.set('bar', 2, { tags: ['y', 'z'] });
    await cache.getOrSet('baz', () => 3, { tags: ['x', 'z'] });
    await cache.evictTags('x');
    expect(await cache.getMany(['foo', 'bar', 'baz'])).toEqual([undefined, 2, undefined]);
    await cache.getOrSet('foo', () => 11, { tags: ['x', 'y'] });
    await cache.evictTags(['y', 'z']);
    expect(await cache.getMany(['foo', 'bar', 'baz'])).toEqual([undefined, undefined, undefined]);
  });

  it('L1Tests.CanRemoveByTagWithChangingTags: tags that a later load changed count, those before do not', async () => {
    await cache.getOrSet('foo', (load) => (load.addTags('old'), 1), { ttl: 1 });
    await clock.advanceAsync(1_000);
    await cache.getOrSet('foo', (load) => (load.addTags('new'), 2), { ttl: 60 });
    await cache.evictTags('old');
    expect(await cache.get('foo')).toBe(2);
    await cache.evictTags('new');
    expect(await cache.get('foo')).toBeUndefined();
  });

  it('L1Tests.CanRemoveByTagWithBehaviorRemove: evicted is gone, in its grace as well', async () => {
    await cache.set('foo', 42, { tags: ['x'], grace: 600 });
    await cache.evictTags('x');
    expect(await stale()).toEqual({ hit: false });
  });

  if (storageName === 'memory')
    it('L1Tests.CanRemoveByTagWithBehaviorExpire, CanExpire, CanClearWithFailSafe: expired is no hit, but may serve', async () => {
      await cache.set('foo', 1, { tags: ['x', 'y'], grace: 600 });
      await cache.set('bar', 2, { tags: ['y', 'z'], grace: 600 });
      await cache.expireTags('x');
      expect([await cache.has('foo'), await cache.has('bar')]).toEqual([false, true]);
      expect(await stale()).toMatchObject({ value: 1, stale: true });
      await cache.expireScope('global');
      expect(await cache.has('bar')).toBe(false);
      expect(await cache.getOrSet('bar', fail)).toBe(2);
      await cache.clear();
      expect(await cache.has('bar', { allowStale: true })).toBe(false);
    });

  it('L1Tests.CanClear, RemoveByTagStarDoesAClear: clear leaves nothing; "*" is a tag like any other', async () => {
    await cache.setMany({ foo: 1, bar: 2 }, { tags: ['x'], grace: 600 });
    await cache.evictTags('*');
    expect(await cache.getMany(['foo', 'bar'])).toEqual([1, 2]);
    await cache.clear();
    expect(await cache.getMany(['foo', 'bar'], { allowStale: true })).toEqual([
      undefined,
      undefined,
    ]);
  });

  it('L1Tests.CanHandleEagerRefreshWithTags: the refreshed value has the tags of the refresh', async () => {
    await cache.getOrSet('foo', () => 1, { ttl: 4, tags: ['a'] });
    await clock.advanceAsync(1_000);
    await cache.getOrSet('foo', () => 2, { ttl: 4, refreshAhead: 0.2, tags: ['c', 'd'] });
    await clock.advanceAsync(0);
    expect(await cache.lookup('foo')).toMatchObject({ value: 2, tags: ['c', 'd'] });
    await cache.evictTags('c');
    expect(await cache.get('foo')).toBeUndefined();
  });

  it('L1Tests.CanAutoClone: a caller’s changes stay its own', async () => {
    const first = await cache.getOrSet('foo', () => ({ list: [1] }));
    first.list.push(2);
    expect(await cache.get('foo')).toEqual({ list: [1] });
  });

  it('L1Tests.CanUseNullFusionCache: with enabled: false loaders always run and nothing is kept', async () => {
    const none = createTestCache({ enabled: false });
    await none.set('foo', 1);
    expect(await none.getOrSet('foo', () => 2)).toBe(2);
    expect(await none.get('foo', { default: 3 })).toBe(3);
    await expect(none.getOrSet('foo', fail)).rejects.toBe(DOWN);
  });

  it('GeneralTests.CanHandleDispose: a closed cache aborts its loads and stores nothing', async () => {
    const gate = deferred<number>();
    let signal!: AbortSignal;
    const caller = cache.getOrSet('foo', (load) => ((signal = load.signal), gate.promise));
    await clock.advanceAsync(0);
    await cache.close();
    expect(signal.aborted).toBe(true);
    gate.resolve(1);
    expect(await caller).toBe(1);
  });

  it('EventsTests.GetOrSetStale, TryGetStaleFailSafe: the listener hears that a value was stale', async () => {
    await expired();
    listener.clear();
    await cache.getOrSet('foo', fail, { grace: 600, graceThrottle: 0 });
    await stale();
    await cache.get('foo');
    expect(
      listener.events.map((event) => ('stale' in event ? [event.event, event.stale] : event.event)),
    ).toEqual(['fault', ['hit', true], ['hit', true], 'miss']);
  });
});
