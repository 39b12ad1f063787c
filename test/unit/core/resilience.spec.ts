import { describe, expect, it } from '@jest/globals';
import { sleep } from '../../../lib/core/clock.js';
import { StorageUnavailableError } from '../../../lib/core/errors.js';
import type { CacheOptions } from '../../../lib/core/cache-options.js';
import { CircuitBreaker } from '../../../lib/core/resilience/circuit-breaker.js';
import { createTestCache } from '../../../lib/testing/create-test-cache.js';
import { deferred } from '../../../lib/testing/deferred.js';
import { FaultyStorage } from '../../../lib/testing/faulty-storage.js';
import { ManualClock } from '../../../lib/testing/manual-clock.js';
import { mapStorage } from '../../../lib/testing/map-storage.js';
import { RecordingListener } from '../../../lib/testing/recording-listener.js';
import { memoryStorage } from '../../../lib/storages/memory/memory-storage.js';

const STORAGES = [
  ['memory', () => memoryStorage()],
  ['a minimal storage', () => mapStorage()],
] as const;

describe.each(STORAGES)('faults of %s', (name, makeStorage) => {
  function setUp(options: CacheOptions = {}) {
    const clock = new ManualClock();
    const listener = new RecordingListener();
    const faulty = new FaultyStorage(makeStorage(), clock);
    const cache = createTestCache({ storage: faulty.wrapped, listener, ...options }, { clock });
    return { clock, listener, faulty, cache };
  }

  it('SC-35 RC-27 PC-34 P12 degraded, reads miss, writes and deletes resolve, and errors are counted', async () => {
    const { faulty, cache, listener } = setUp();
    await cache.set('k', 1);
    faulty.failNext(Infinity);
    expect(await cache.get('k')).toBeUndefined();
    expect(await cache.has('k')).toBe(false);
    expect(await cache.lookup('k')).toEqual({ hit: false });
    await cache.set('k', 2);
    expect(await cache.delete('k')).toBe(false);
    expect(await cache.touch('k')).toBe(false);
    expect(await cache.evictScope('global')).toBe(0);
    expect(await cache.getOrSet('k', () => 'loaded')).toBe('loaded');
    expect(await cache.getMany(['k'])).toEqual([undefined]);
    expect(listener.faults.length).toBeGreaterThanOrEqual(8);
    expect((await cache.stats()).errors).toBeGreaterThanOrEqual(8);
    expect((await cache.stats()).totalKeys).toBe(-1);
  });

  it('SC-35 RC-27 P13 strict, each rejects with what failed, on which key, scope and storage, and why', async () => {
    const { faulty, cache } = setUp({ onStorageError: 'throw' });
    const cause = new Error('disk on fire');
    const unavailable = { code: 'STORAGE_UNAVAILABLE', cause };
    for (const call of [
      () => cache.get('k'),
      () => cache.set('k', 1),
      () => cache.delete('k'),
      () => cache.evictScope({ org: 'o' }),
    ]) {
      faulty.recover().failNext(1, cause);
      await expect(call()).rejects.toMatchObject(unavailable);
    }
  });

  it('P13 strict, evicting more tags than go at once rejects, and makes up for all of them', async () => {
    const { faulty, cache } = setUp({ onStorageError: 'throw' });
    const tags = Array.from({ length: 150 }, (_, n) => `t${n}`);
    for (const tag of tags) await cache.set(tag, 1, { tags: [tag] });
    const evicting = name === 'memory' ? 'evictTags' : 'delete';
    for (const evict of [() => cache.evictTags(tags), () => cache.expireTags(tags)]) {
      faulty.only(evicting, 'expire').failNext(1);
      await expect(evict()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
      faulty.recover();
      expect(new Set(await cache.getMany(tags))).toEqual(new Set([undefined]));
      for (const tag of tags) await cache.set(tag, 1, { tags: [tag] });
    }
  });

  it('P5 an update that was given up asks its function no more, and writes nothing when the storage answers at last', async () => {
    const { clock, faulty, cache } = setUp();
    await cache.set('k', 'old');
    faulty.hang();
    let asked = 0;
    const updating = cache.update('k', () => ++asked);
    const outcome = expect(updating).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    await clock.advanceAsync(600);
    await outcome;
    faulty.recover();
    await clock.advanceAsync(10);
    expect(asked).toBe(0);
    expect(await cache.get('k')).toBeUndefined();
  });

  it('P12 an update has one deadline for all that the storage does, without the time of its function', async () => {
    const { clock, faulty, cache } = setUp();
    await cache.set('k', 1);
    const tookMs = async (ownMs: number): Promise<number> => {
      const since = clock.monotonic();
      const ended = cache
        .update('k', async (value) => {
          await sleep(clock, ownMs);
          // What follows hangs.
          faulty.hang();
          return value;
        })
        .then(
          () => clock.monotonic(),
          () => clock.monotonic(),
        );
      await clock.advanceAsync(10_000);
      faulty.recover();
      return (await ended) - since - ownMs;
    };
    faulty.delay(200);
    expect(await tookMs(3_000)).toBeLessThanOrEqual(500);
  });

  it('P13 the error names key, scope, storage and cause', async () => {
    const { faulty, cache } = setUp({ onStorageError: 'throw' });
    faulty.failNext(1, new Error('disk on fire'));
    await expect(cache.get('k', { scope: { org: 'o' } })).rejects.toThrow(
      /k in scope org:o failed on the (memory|map) storage: disk on fire/,
    );
  });

  it('P12 atomic operations have no degraded answer: they reject in either mode', async () => {
    const { faulty, cache } = setUp();
    for (const call of [
      () => cache.increment('n'),
      () => cache.merge('m', { a: 1 }),
      () => cache.update('u', () => 1),
    ]) {
      faulty.recover().failNext(1);
      await expect(call()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    }
  });

  it('P12 nor have listings and counts, which say what failed and why', async () => {
    const { faulty, cache, listener } = setUp();
    const cause = new Error('disk on fire');
    const drain = async (lines: AsyncIterable<unknown>): Promise<void> => {
      for await (const line of lines) expect(line).toBeUndefined();
    };
    const calls = [
      () => cache.size({ scope: { org: 'o' } }),
      () => drain(cache.keys({ scope: { org: 'o' } })),
      () => drain(cache.entries({ scope: { org: 'o' } })),
    ];
    // A listing of memory has nothing to fail with.
    for (const call of name === 'memory' ? calls.slice(0, 1) : calls) {
      await cache.set('k', 1, { scope: { org: 'o' } });
      const told = listener.faults.length;
      faulty.only('get', 'list', 'count').failNext(1, cause);
      const message = expect.stringMatching(/scope org:o failed on the .* storage: disk on fire/);
      await expect(call()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', cause, message });
      expect(listener.faults.length).toBe(told + 1);
      faulty.recover();
    }
  });

  it('P12 a storage that hangs in the middle of a listing ends it at its deadline', async () => {
    const { clock, faulty, cache } = setUp();
    await cache.setMany({ a: 1, b: 2, c: 3 });
    const keys = cache.keys()[Symbol.asyncIterator]();
    await keys.next();
    faulty.hang();
    let outcome: unknown = 'still waiting';
    const rest = (async () => {
      for (;;) if ((await keys.next()).done) return 'ended';
    })();
    rest.then(
      (how) => (outcome = how),
      (error: unknown) => (outcome = error),
    );
    const size = cache.size().catch((error: unknown) => error);
    await clock.advanceAsync(20_000);
    if (name !== 'memory') expect(outcome).toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    expect(outcome).not.toBe('still waiting');
    expect(await size).toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    faulty.recover();
  });

  it('P12 a storage that hangs costs a request one deadline, and the loader runs single-flight', async () => {
    const { clock, faulty, cache } = setUp({ storageTimeout: '250ms' });
    faulty.hang();
    let loads = 0;
    const load = async (): Promise<number> => {
      loads++;
      await sleep(clock, 10);
      return loads;
    };
    const callers = Promise.all([1, 2, 3].map(() => cache.getOrSet('k', load)));
    const detailed = cache.getOrSetDetailed('d', () => 'loaded');
    await clock.advanceAsync(250);
    // Others may join; then it loads.
    await clock.advanceAsync(5);
    await clock.advanceAsync(10);
    expect(await callers).toEqual([1, 1, 1]);
    // Neither a lease nor a write was tried where nobody answered.
    expect(await detailed).toMatchObject({ value: 'loaded', outcome: 'loaded', stored: false });
    expect(new Set(faulty.calls)).toEqual(new Set([faulty.calls[0]]));
    faulty.recover();
    await clock.advanceAsync(0);
  });

  it('P12 one that hangs costs getOrSetMany one deadline too', async () => {
    const { clock, faulty, cache } = setUp({ storageTimeout: '250ms' });
    faulty.hang();
    const values = cache.getOrSetMany(['a', 'b'], (keys) => keys.map((key) => `loaded ${key}`));
    await clock.advanceAsync(250);
    await clock.advanceAsync(5);
    expect(await values).toEqual(['loaded a', 'loaded b']);
    const [first] = faulty.calls;
    expect(new Set(faulty.calls)).toEqual(new Set([first]));
    faulty.recover();
    await clock.advanceAsync(0);
  });

  it('P12 a read that fails at once says little about the storage: what was loaded is stored', async () => {
    const { faulty, cache } = setUp();
    faulty.failNext(1);
    expect(await cache.getOrSet('k', () => 'loaded')).toBe('loaded');
    expect(await cache.get('k')).toBe('loaded');
    faulty.failNext(1).only('read', 'readMany', 'get');
    await cache.getOrSetMany(['m'], () => ['loaded']);
    expect(await cache.get('m')).toBe('loaded');
  });

  it('P12 after five failures in a row nothing is tried for 100 ms; then one probe closes the circuit', async () => {
    const { clock, faulty, cache } = setUp();
    await cache.set('k', 1);
    faulty.failNext(Infinity);
    for (let at = 0; at < 5; at++) await cache.get('k');
    const tried = faulty.calls.length;
    await cache.get('k');
    await cache.get('k');
    expect(faulty.calls).toHaveLength(tried);
    expect((await cache.stats()).storage).toMatchObject({ circuitOpen: 1 });
    faulty.recover();
    await clock.advanceAsync(99);
    expect(await cache.get('k')).toBeUndefined();
    await clock.advanceAsync(1);
    expect(await cache.get('k')).toBe(1);
    expect((await cache.stats()).storage).toMatchObject({ circuitOpen: 0 });
  });

  it('P12 failures between successes do not open it: one of several servers may be away', () => {
    const breaker = new CircuitBreaker(new ManualClock());
    for (let round = 0; round < 20; round++) {
      const before = breaker.admit('read');
      if (round % 4 === 0) breaker.succeeded();
      else breaker.failed(before);
    }
    expect(breaker.isOpen).toBe(false);
    const slow = Array.from({ length: 10 }, () => breaker.admit('read'));
    breaker.succeeded();
    for (const before of slow) breaker.failed(before);
    expect(breaker.isOpen).toBe(false);
    for (let failure = 0; failure < 5; failure++) breaker.failed(breaker.admit('read'));
    expect(breaker.isOpen).toBe(true);
  });

  it('P12 each probe that fails doubles the time without one, up to half a second; one that succeeds starts over', async () => {
    const { clock, faulty, cache } = setUp();
    const fail = async (): Promise<void> => {
      faulty.failNext(Infinity);
      for (let at = 0; at < 5; at++) await cache.get('k');
    };
    /** Ms until the next call is let through. */
    const closedMs = async (): Promise<number> => {
      const tried = faulty.calls.length;
      for (let ms = 0; ; ms += 100) {
        await cache.get('k');
        if (faulty.calls.length > tried) return ms;
        await clock.advanceAsync(100);
      }
    };
    await fail();
    const pauses: number[] = [];
    for (let probe = 0; probe < 5; probe++) pauses.push(await closedMs());
    expect(pauses).toEqual([100, 200, 400, 500, 500]);
    faulty.recover();
    await clock.advanceAsync(500);
    await cache.get('k');
    await fail();
    expect(await closedMs()).toBe(100);
  });

  it.each([
    ['a full disk', Object.assign(new Error('no space left'), { code: 'ENOSPC' })],
    ['a full server', new StorageUnavailableError('OOM', { isRefusal: true })],
  ])(
    'P12 P15 %s opens no circuit, however many writes fail: what is there is read, evictions are carried out',
    async (_what, error) => {
      const { faulty, cache } = setUp();
      await cache.set('k', 1);
      await cache.set('gone', 1);
      faulty.only('write', 'set', 'acquire', 'store').failNext(Infinity, error);
      for (let round = 0; round < 20; round++) await cache.set(`new${round}`, 1);
      expect((await cache.stats()).storage).toMatchObject({ circuitOpen: 0 });
      expect(await cache.get('k')).toBe(1);
      expect(await cache.delete('gone')).toBe(true);
      expect(await cache.getOrSet('load', () => 'loaded')).toBe('loaded');
    },
  );

  it('P12 of many calls while the circuit is half open only one is let through', async () => {
    const { clock, faulty, cache } = setUp();
    faulty.failNext(Infinity);
    for (let at = 0; at < 5; at++) await cache.get('k');
    await clock.advanceAsync(500);
    const tried = faulty.calls.length;
    await Promise.all(Array.from({ length: 10 }, () => cache.get('k')));
    expect(faulty.calls.length - tried).toBe(1);
  });

  it.each([
    [
      'an update whose own function throws',
      (cache: ReturnType<typeof createTestCache>) =>
        cache.update('k', () => {
          throw new RangeError('mine');
        }),
    ],
    [
      'a merge that must find an entry and finds none',
      (cache: ReturnType<typeof createTestCache>) =>
        cache.merge('missing', { a: 1 }, { mustExist: true }),
    ],
    [
      'an increment of a text',
      (cache: ReturnType<typeof createTestCache>) => cache.increment('text'),
    ],
  ])('P12 %s closes the circuit too: the storage has answered', async (_name, probe) => {
    const { clock, faulty, cache } = setUp();
    await cache.set('k', 1);
    await cache.set('text', 'text');
    faulty.failNext(Infinity);
    for (let at = 0; at < 5; at++) await cache.get('k');
    faulty.recover();
    await clock.advanceAsync(500);
    await probe(cache).catch(() => undefined);
    expect(await cache.get('k')).toBe(1);
    expect((await cache.stats()).storage).toMatchObject({ circuitOpen: 0 });
  });

  it.each([
    [
      'delete',
      (cache: ReturnType<typeof createTestCache>) => cache.delete('k', { scope: { org: 'o' } }),
    ],
    ['evictScope', (cache: ReturnType<typeof createTestCache>) => cache.evictScope({ org: 'o' })],
    ['evictTags', (cache: ReturnType<typeof createTestCache>) => cache.evictTags('t')],
    ['clear', (cache: ReturnType<typeof createTestCache>) => cache.clear()],
    [
      'set',
      (cache: ReturnType<typeof createTestCache>) => cache.set('k', 'new', { scope: { org: 'o' } }),
    ],
  ])(
    'P13 SC-35 a %s that failed is in force at once, delivered later, and never undone by a read',
    async (_name, act) => {
      const { clock, faulty, cache } = setUp();
      await cache.set('k', 'old', { scope: { org: 'o' }, tags: ['t'] });
      faulty.failNext(Infinity);
      await act(cache);
      faulty.recover();
      expect(await cache.get('k', { scope: { org: 'o' } })).not.toBe('old');
      await clock.advanceAsync(1_000);
      expect(await cache.get('k', { scope: { org: 'o' } })).not.toBe('old');
      expect((await cache.stats()).storage).toMatchObject({ journaledEvictions: 0 });
    },
  );

  it.each([
    ['get', (cache: ReturnType<typeof createTestCache>) => cache.get('k')],
    ['set', (cache: ReturnType<typeof createTestCache>) => cache.set('k', 1)],
    ['delete', (cache: ReturnType<typeof createTestCache>) => cache.delete('k')],
    ['evictScope', (cache: ReturnType<typeof createTestCache>) => cache.evictScope('global')],
    ['update', (cache: ReturnType<typeof createTestCache>) => cache.update('k', () => 1)],
  ])(
    'P12 a %s waits for half a deadline for evictions to be carried out first',
    async (_name, act) => {
      const { clock, faulty, cache } = setUp();
      faulty.failNext(2);
      await cache.delete('k');
      await cache.delete('l');
      faulty.hang();
      const since = clock.monotonic();
      const ended = act(cache).then(
        () => clock.monotonic(),
        () => clock.monotonic(),
      );
      await clock.advanceAsync(2_000);
      expect((await ended) - since).toBe(125);
      faulty.recover();
    },
  );

  it('P13 P17 evictions that cannot be delivered on close are reported as lost', async () => {
    const { clock, faulty, cache, listener } = setUp();
    await cache.set('k', 1);
    faulty.failNext(Infinity);
    await cache.delete('k');
    await cache.close();
    expect(listener.faults.at(-1)).toMatchObject({ during: 'close' });
    expect(clock.pending).toBe(0);
  });

  it('SC-34 a health check: true when the round trip works, false when the storage is down, no throw', async () => {
    const { faulty, cache } = setUp();
    const isHealthy = async () => {
      await cache.set('health', 'ok', { ttl: 5 });
      return (await cache.get('health')) === 'ok';
    };
    expect(await isHealthy()).toBe(true);
    faulty.failNext(Infinity);
    expect(await isHealthy()).toBe(false);
  });

  it('a listener that throws changes nothing', async () => {
    const fail = () => {
      throw new Error('listener');
    };
    const { cache } = setUp({
      listener: { onHit: fail, onMiss: fail, onWrite: fail, onRemoval: fail, onFault: fail },
    });
    await cache.set('k', 1);
    expect(await cache.get('k')).toBe(1);
    expect(await cache.get('missing')).toBeUndefined();
    expect(await cache.delete('k')).toBe(true);
    expect((await cache.stats()).errors).toBeGreaterThan(0);
  });

  it('so does one that is asynchronous and rejects', async () => {
    const fail = (): never => Promise.reject(new Error('listener')) as never;
    const { cache } = setUp({
      listener: { onHit: fail, onMiss: fail, onWrite: fail, onRemoval: fail, onFault: fail },
    });
    await cache.set('k', 1);
    expect(await cache.get('k')).toBe(1);
    expect(await cache.get('missing')).toBeUndefined();
    await new Promise((resolve) => setImmediate(resolve));
    expect((await cache.stats()).errors).toBe(3);
  });
});

describe('P5 P12 P13 an eviction on a minimal storage with more entries than can be counted in time', () => {
  it.each([
    ['evictScope', (cache: ReturnType<typeof createTestCache>) => cache.evictScope({ org: 'o' })],
    ['evictTags', (cache: ReturnType<typeof createTestCache>) => cache.evictTags('t')],
  ])('%s is in force at once, and over; how many there were is not known', async (_name, evict) => {
    const clock = new ManualClock();
    const faulty = new FaultyStorage(mapStorage(), clock);
    const cache = createTestCache({ storage: faulty.wrapped, onStorageError: 'throw' }, { clock });
    const options = { scope: { org: 'o' }, tags: ['t'], ttl: '1d' } as const;
    await cache.setMany(
      Array.from({ length: 500 }, (_, at) => [`k${at}`, at] as const),
      options,
    );
    faulty.delay(20);
    let outcome: unknown = 'under way';
    evict(cache).then(
      (count) => (outcome = count),
      (error: unknown) => (outcome = error),
    );
    await clock.advanceAsync(200);
    const reading = cache.get('k1', options);
    await clock.advanceAsync(200);
    expect(await reading).toBeUndefined();
    await clock.advanceAsync(10_000);
    expect(outcome).toBe(-1);
    faulty.recover().delay(0);
    expect(cache.storage.figures!()).toMatchObject({ journaledEvictions: 0 });
    await cache.set('k1', 'new', options);
    expect(await cache.get('k1', options)).toBe('new');
  });
});

describe('P16 a lease that cannot be used any more is given back', () => {
  function setUp() {
    const clock = new ManualClock();
    const faulty = new FaultyStorage(mapStorage(), clock);
    const cache = createTestCache({ storage: faulty.wrapped, storageTimeout: '250ms' }, { clock });
    const leased = () => cache.storage.figures!()['keysLeased'];
    return { clock, faulty, cache, leased };
  }

  it('granted after its deadline, to nobody', async () => {
    const { clock, faulty, cache, leased } = setUp();
    await cache.get('k');
    faulty.only('set').hang();
    const load = cache.getOrSet('k', () => 'loaded');
    await clock.advanceAsync(250);
    expect(await load).toBe('loaded');
    faulty.recover();
    await clock.advanceAsync(0);
    expect(leased()).toBe(0);
  });

  it.each(['get', 'set'])('when %s fails in storing', async (call) => {
    const { clock, faulty, cache, leased } = setUp();
    const source = deferred<string>();
    const load = cache.getOrSet('k', () => source.promise);
    await clock.advanceAsync(0);
    expect(leased()).toBe(1);
    faulty.only(call).failNext(1);
    source.resolve('loaded');
    expect(await load).toBe('loaded');
    expect(leased()).toBe(0);
  });

  it.each(['stored', 'given back'])('when the circuit is open and it cannot be %s', async (how) => {
    const { clock, faulty, cache, leased } = setUp();
    const source = deferred<string>();
    const load = cache.getOrSet('k', async (context) => {
      if (how === 'given back') context.skipStore();
      return source.promise;
    });
    await clock.advanceAsync(0);
    expect(leased()).toBe(1);
    faulty.failNext(Infinity);
    for (let read = 0; read < 5; read++) await cache.get('another');
    source.resolve('loaded');
    expect(await load).toBe('loaded');
    expect(leased()).toBe(0);
  });
});

describe('evictions while the circuit is open', () => {
  async function setUp() {
    const clock = new ManualClock();
    const inner = mapStorage();
    const faulty = new FaultyStorage(inner, clock);
    const cache = createTestCache({ storage: faulty.wrapped }, { clock });
    await cache.set('k', 'old', { scope: { org: 'o' }, tags: ['t'] });
    faulty.failNext(Infinity);
    for (let at = 0; at < 5; at++) await cache.get('k');
    const has = () =>
      createTestCache({ storage: inner }, { clock }).has('k', { scope: { org: 'o' } });
    return { clock, faulty, cache, has };
  }

  const evictions: [string, (cache: ReturnType<typeof createTestCache>) => Promise<unknown>][] = [
    ['delete', (cache) => cache.delete('k', { scope: { org: 'o' } })],
    ['deleteMany', (cache) => cache.deleteMany(['k'], { scope: { org: 'o' } })],
    ['set with ttl 0', (cache) => cache.set('k', 1, { scope: { org: 'o' }, ttl: 0 })],
    ['evictScope', (cache) => cache.evictScope({ org: 'o' })],
    ['evictTags', (cache) => cache.evictTags('t')],
    ['clear', (cache) => cache.clear()],
  ];

  it.each(evictions)(
    'P13 a %s is not tried, and reaches the storage when it is back',
    async (_, evict) => {
      const { clock, faulty, cache, has } = await setUp();
      const tried = faulty.calls.length;
      await evict(cache);
      expect(faulty.calls).toHaveLength(tried);
      faulty.recover();
      expect(await has()).toBe(true);
      await clock.advanceAsync(2_000);
      expect(await has()).toBe(false);
      await cache.close();
    },
  );

  it.each(evictions)(
    'P13 P17 a %s reaches the storage on close at the latest',
    async (_, evict) => {
      const { faulty, cache, has } = await setUp();
      await evict(cache);
      faulty.recover();
      expect(await has()).toBe(true);
      await cache.close();
      expect(await has()).toBe(false);
    },
  );
});

describe('a minimal storage that two processes share', () => {
  it.each<readonly [string, (cache: ReturnType<typeof createTestCache>) => Promise<unknown>]>([
    ['set', (cache) => cache.set('k', 'old')],
    ['setMany', (cache) => cache.setMany({ k: 'old' })],
  ])(
    'P5 %s that was given up while the storage stood still writes nothing after another process has deleted the key',
    async (_name, write) => {
      const clock = new ManualClock();
      const shared = mapStorage();
      const faulty = new FaultyStorage(shared, clock);
      const here = createTestCache({ storage: faulty.wrapped, onStorageError: 'throw' }, { clock });
      const elsewhere = createTestCache({ storage: shared }, { clock });
      await elsewhere.set('seed', 1);
      faulty.hang();
      const writing = expect(write(here)).rejects.toThrow(/took longer/);
      await clock.advanceAsync(250);
      await writing;
      await elsewhere.delete('k');
      faulty.recover();
      await clock.advanceAsync(1);
      expect(await elsewhere.get('k')).toBeUndefined();
    },
  );
});
