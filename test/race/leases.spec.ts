import { describe, expect, it } from '@jest/globals';
import {
  memoryStorage,
  ScopeTree,
  type EntryAddress,
  type Lease,
  type LeaseAnswer,
  type Leases,
  type LoadContext,
  type NewEntry,
  type OpenStorage,
  type StorageDriver,
} from 'nestjs-scoped-cache';
import { createTestCache, deferred, ManualClock } from 'nestjs-scoped-cache/testing';

/** Exclusive leases over memory, as a fleet's storage has them: whoever holds one makes the others wait. */
class Fleet implements StorageDriver {
  readonly name = 'fleet';
  readonly holders = new Map<string, { lease: Lease; until: number }>();
  renewals = 0;
  /** So many of the next renewals get no answer. */
  lostRenewals = 0;
  /** As a full server: reads and removals work, leases do not. */
  hasNoLeases = false;
  /** The answers of `acquire` and `store` come when it has resolved, after the storage has done its work. */
  slowness = Promise.resolve();
  readonly #inner = memoryStorage();
  #memory!: OpenStorage;

  constructor(readonly clock: ManualClock) {}

  open(host: Parameters<StorageDriver['open']>[0]): OpenStorage {
    this.#memory = this.#inner.open(host);
    const leases: Leases = {
      acquire: async (at, leaseMs, refresh) => {
        const answer = await this.#acquire(at, leaseMs, refresh === true);
        await this.slowness;
        return answer;
      },
      store: async (lease, entry) => this.#store(lease, entry),
      release: async (lease) => void (this.#holds(lease) && this.holders.delete(lease.at.key)),
      renew: async (lease, leaseMs) => this.#renew(lease, leaseMs),
    };
    return new Proxy(this.#memory, {
      get: (memory, name) => {
        if (name === 'isLocal') return false;
        if (name === 'leases') return leases;
        const member: unknown = Reflect.get(memory, name, memory);
        return typeof member === 'function' ? member.bind(memory) : member;
      },
    });
  }

  /** Another process removes the entry, which voids the lease on it. */
  async removeElsewhere(at: EntryAddress): Promise<void> {
    this.holders.delete(at.key);
    await this.#memory.remove(at);
  }

  async storeElsewhere(at: EntryAddress, value: unknown): Promise<void> {
    const entry = { value, ttlMs: 60_000, graceMs: 0, sliding: false, tags: [] };
    await this.#memory.write(at, entry);
  }

  /** Another process takes the lease. */
  holdElsewhere(key: string, ms: number): Lease {
    const lease = { at: { key } as EntryAddress };
    this.holders.set(key, { lease, until: this.clock.monotonic() + ms });
    return lease;
  }

  async #acquire(at: EntryAddress, leaseMs: number, refresh: boolean): Promise<LeaseAnswer> {
    if (this.hasNoLeases) throw new Error('OOM');
    const entry = await this.#memory.read(at, { peek: true });
    const isFresh = entry !== undefined && this.clock.monotonic() < entry.freshUntil;
    if (isFresh && !refresh) return { kind: 'hit', entry };
    const holder = this.holders.get(at.key);
    if (holder && this.clock.monotonic() < holder.until)
      return {
        kind: 'busy',
        stale: entry,
        changed: (maxMs) =>
          new Promise((resolve) => {
            this.clock.after(Math.min(50, maxMs), resolve);
          }),
      };
    const lease = { at };
    this.holders.set(at.key, { lease, until: this.clock.monotonic() + leaseMs });
    return { kind: 'leased', lease, stale: entry };
  }

  #holds(lease: Lease): boolean {
    return this.holders.get(lease.at.key)?.lease === lease;
  }

  async #store(lease: Lease, entry: NewEntry): Promise<boolean> {
    if (!this.#holds(lease)) return false;
    this.holders.delete(lease.at.key);
    const stored = await this.#memory.write(lease.at, entry);
    await this.slowness;
    return stored;
  }

  #renew(lease: Lease, leaseMs: number): boolean {
    this.renewals++;
    if (this.lostRenewals-- > 0) throw new Error('no answer');
    const holder = this.holders.get(lease.at.key);
    if (holder?.lease !== lease) return false;
    holder.until = this.clock.monotonic() + leaseMs;
    return true;
  }
}

function setUp() {
  const clock = new ManualClock();
  const fleet = new Fleet(clock);
  const cache = createTestCache({ storage: fleet, storageTimeout: '1h' }, { clock });
  return { clock, fleet, cache };
}

describe('leases', () => {
  it('P9 a lease is renewed while the loader runs, and given back when it fails', async () => {
    const { clock, fleet, cache } = setUp();
    const source = deferred<string>();
    const caller = cache.getOrSet('k', () => source.promise, { lease: 3 });
    caller.catch(() => undefined);
    await clock.advanceAsync(10_000);
    expect(fleet.renewals).toBe(10);
    expect(fleet.holders.size).toBe(1);
    source.reject(new Error('source'));
    await expect(caller).rejects.toThrow('source');
    expect(fleet.holders.size).toBe(0);
    await clock.advanceAsync(10_000);
    expect(fleet.renewals).toBe(10);
  });

  it('P9 a renewal that gets no answer does not end the lease: the next one keeps it', async () => {
    const { clock, fleet, cache } = setUp();
    const source = deferred<string>();
    const caller = cache.getOrSet('k', () => source.promise, { lease: 3 });
    fleet.lostRenewals = 1;
    await clock.advanceAsync(10_000);
    expect(fleet.holders.get('k')!.until).toBeGreaterThan(clock.monotonic());
    source.resolve('loaded');
    expect(await caller).toBe('loaded');
    expect(await cache.get('k')).toBe('loaded');
    const { renewals } = fleet;
    await clock.advanceAsync(10_000);
    expect(fleet.renewals).toBe(renewals);
  });

  it('P9 a loader that never settles keeps its lease no longer than the hard timeout', async () => {
    const { clock, fleet, cache } = setUp();
    const never = new Promise<never>(() => undefined);
    const caller = cache.getOrSet('k', () => never, { lease: 3, hardTimeout: 5 });
    caller.catch(() => undefined);
    await clock.advanceAsync(5_000);
    await expect(caller).rejects.toMatchObject({ code: 'LOAD_TIMEOUT' });
    expect(fleet.holders.size).toBe(0);
    const next = cache.getOrSet('k', () => 'next', { lease: 3, hardTimeout: 5 });
    await clock.advanceAsync(0);
    expect(await next).toBe('next');
    await clock.advanceAsync(10_000);
    expect(fleet.renewals).toBeLessThan(6);
  });

  it('P9 a crashed loader elsewhere delays others by at most its lease', async () => {
    const { clock, fleet, cache } = setUp();
    fleet.holdElsewhere('k', 1_000);
    const caller = cache.getOrSet('k', () => 'loaded here');
    await clock.advanceAsync(999);
    expect(fleet.holders.size).toBe(1);
    await clock.advanceAsync(51);
    expect(await caller).toBe('loaded here');
  });

  it('P9 whoever waits for a load elsewhere gets its result', async () => {
    const { clock, fleet, cache } = setUp();
    const elsewhere = fleet.holdElsewhere('k', 60_000);
    const caller = cache.getOrSet('k', () => 'must not be called');
    await clock.advanceAsync(100);
    await cache.storage.write(
      { scope: cache.scopes.pathOf('global', undefined), key: 'k' },
      { value: 'theirs', ttlMs: 1_000, graceMs: 0, sliding: false, tags: [] },
    );
    expect(fleet.holders.get('k')?.lease).toBe(elsewhere);
    await clock.advanceAsync(100);
    expect(await caller).toBe('theirs');
  });

  it('a caller whose hard timeout ran out while waiting for a lease does not load afterwards', async () => {
    const { clock, fleet, cache } = setUp();
    fleet.holdElsewhere('k', 5_000);
    let loads = 0;
    const caller = cache.getOrSet('k', () => ++loads, { hardTimeout: 1 });
    caller.catch(() => undefined);
    await clock.advanceAsync(1_000);
    await expect(caller).rejects.toMatchObject({ code: 'LOAD_TIMEOUT' });
    await clock.advanceAsync(10_000);
    expect(loads).toBe(0);
    expect(cache.loadsUnderWay).toBe(0);
    expect(fleet.holders.get('k')?.until).toBe(5_000);
  });

  it('P17 close gives leases back and stops waiting for others', async () => {
    const { clock, fleet, cache } = setUp();
    fleet.holdElsewhere('busy', 60_000);
    let loads = 0;
    const never = new Promise<never>(() => undefined);
    void cache.getOrSet('k', () => never);
    cache.getOrSet('busy', () => ++loads).catch(() => undefined);
    await clock.advanceAsync(100);
    await cache.close();
    await clock.advanceAsync(100_000);
    expect(loads).toBe(0);
    expect(fleet.holders.has('k')).toBe(false);
    expect(clock.pending).toBe(0);
  });

  it('a stale value that the lease brings is what the loader sees', async () => {
    const { clock, cache } = setUp();
    await cache.set('k', 'old', { ttl: 1, grace: 60 });
    await clock.advanceAsync(1_000);
    const value = await cache.getOrSet('k', ({ stale }) => (stale.hit ? stale.value : 'nothing'));
    expect(value).toBe('old');
  });
});

describe('P5 whoever comes after an eviction in another process does not get a load that began before it', () => {
  const at = { scope: new ScopeTree([]).pathOf('global', undefined), key: 'k' };

  /** Starts a load of 'old', evicts elsewhere while it runs, and asks again; `late` is what the second caller gets. */
  async function race(
    { cache, clock, fleet }: ReturnType<typeof setUp>,
    evicts: boolean,
    first: (load: LoadContext) => void = () => undefined,
  ) {
    const source = deferred<string>();
    let loads = 0;
    const early = cache.getOrSet('k', (load) => {
      loads++;
      first(load);
      return source.promise;
    });
    await clock.advanceAsync(1);
    expect(loads).toBe(1);
    if (evicts) await fleet.removeElsewhere(at);
    const late = cache.getOrSet('k', () => {
      loads++;
      return 'new';
    });
    await clock.advanceAsync(1);
    expect(loads).toBe(1);
    source.resolve('old');
    await clock.advanceAsync(100);
    expect(await early).toBe('old');
    return { late: await late, loads };
  }

  it('when there was no lease to be had: it waits, and then loads once', async () => {
    const parts = setUp();
    parts.fleet.hasNoLeases = true;
    expect(await race(parts, true)).toEqual({ late: 'new', loads: 2 });
  });

  it('when the result is not stored', async () => {
    expect(await race(setUp(), true, (load) => load.skipStore())).toEqual({
      late: 'new',
      loads: 2,
    });
  });

  it('and P9 without an eviction a result that is not stored serves all who wait for it', async () => {
    expect(await race(setUp(), false, (load) => load.skipStore())).toEqual({
      late: 'old',
      loads: 1,
    });
  });

  it('when it was stored, and evicted again before the answer came', async () => {
    const { cache, clock, fleet } = setUp();
    const answer = deferred<void>();
    const early = cache.getOrSet('k', () => {
      fleet.slowness = answer.promise;
      return 'old';
    });
    await clock.advanceAsync(1);
    await fleet.removeElsewhere(at);
    const late = cache.getOrSet('k', () => 'new');
    await clock.advanceAsync(1);
    answer.resolve();
    await clock.advanceAsync(100);
    expect(await Promise.all([early, late])).toEqual(['old', 'new']);
  });

  it('when it was found, and evicted before the answer came', async () => {
    const { cache, clock, fleet } = setUp();
    const answer = deferred<void>();
    fleet.slowness = answer.promise;
    const early = cache.getOrSet('k', () => 'not called');
    // Between the read that missed and the lease, another process stores it.
    await fleet.storeElsewhere(at, 'old');
    await clock.advanceAsync(1);
    await fleet.removeElsewhere(at);
    const late = cache.getOrSet('k', () => 'new');
    await clock.advanceAsync(1);
    answer.resolve();
    await clock.advanceAsync(100);
    expect(await Promise.all([early, late])).toEqual(['old', 'new']);
  });

  it('when another process refreshes it: who missed does not get what the refresher had read', async () => {
    const { cache, clock, fleet } = setUp();
    await cache.set('k', 'old', { ttl: 10 });
    await clock.advanceAsync(9_000);
    fleet.holdElsewhere('k', 500);
    const answer = deferred<void>();
    fleet.slowness = answer.promise;
    const hit = cache.getOrSet('k', () => 'not called', { ttl: 10, refreshAhead: 0.5 });
    await clock.advanceAsync(1);
    expect(await hit).toBe('old');
    await fleet.removeElsewhere(at);
    const late = cache.getOrSet('k', () => 'new');
    await clock.advanceAsync(1);
    answer.resolve();
    await clock.advanceAsync(1_000);
    expect(await late).toBe('new');
  });
});
