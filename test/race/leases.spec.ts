import { describe, expect, it } from '@jest/globals';
import {
  memoryStorage,
  type EntryAddress,
  type Lease,
  type LeaseAnswer,
  type Leases,
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
  readonly #inner = memoryStorage();
  #memory!: OpenStorage;

  constructor(readonly clock: ManualClock) {}

  open(host: Parameters<StorageDriver['open']>[0]): OpenStorage {
    this.#memory = this.#inner.open(host);
    const leases: Leases = {
      acquire: (at, leaseMs, refresh) => this.#acquire(at, leaseMs, refresh === true),
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

  /** Another process takes the lease. */
  holdElsewhere(key: string, ms: number): Lease {
    const lease = { at: { key } as EntryAddress };
    this.holders.set(key, { lease, until: this.clock.monotonic() + ms });
    return lease;
  }

  async #acquire(at: EntryAddress, leaseMs: number, refresh: boolean): Promise<LeaseAnswer> {
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
    return this.#memory.write(lease.at, entry);
  }

  #renew(lease: Lease, leaseMs: number): boolean {
    this.renewals++;
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
