import type { CacheState } from './cache-state.js';
import { sleep } from './clock.js';
import type { NewEntry, StoredEntry } from './entry.js';
import type { Flight } from './flights.js';
import { isPromise } from './guard.js';
import type { Landing } from './landing.js';
import { LoadPlan } from './load-plan.js';
import { PATIENCE_MS, type LoadRequest } from './load-request.js';
import { jittered } from './load-settings.js';
import { MISS, type Lookup } from './lookup.js';
import type { Lease, Leases, OpenStorage, Platform } from './storage.js';
import type { ValuePolicy } from './value/value-policy.js';

/** Between the first read that waited in vain and the load: many begin together, and their deadlines pass together. */
const GATHER_MS = 5;

/** What all loads of one cache share. */
export interface LoadHost {
  readonly storage: OpenStorage;
  readonly values: ValuePolicy;
  readonly platform: Platform;
  readonly state: CacheState;
  /** How many callers have asked for a load so far. */
  readonly callers: number;
}

/** What a loader brought. */
interface Loaded {
  readonly value: unknown;
  readonly loadMs: number;
  /** See {@link Landing.lastCaller}, as of the loader's begin. */
  readonly lastCaller: number;
}

/**
 * One load from its lease to its landing: the fleet's lock, the loader, the store. Fenced by its flight in this process and
 * by its lease in the fleet (P5, P9).
 */
export class LoadRun {
  /** What its loader is given, and decides. */
  readonly plan: LoadPlan;

  /** @param shown what the loader may see of the stale entry */
  constructor(
    readonly host: LoadHost,
    readonly request: LoadRequest,
    readonly flight: Flight<Landing>,
    readonly isRefresh: boolean,
    shown: StoredEntry | undefined,
  ) {
    this.plan = new LoadPlan(request.settings, () => this.#asLookup(shown));
  }

  /** Rejects with the loader's error, or with the reason of an abort. */
  async land(): Promise<Landing> {
    const { leases } = this.host.storage;
    if (this.request.isAway) return this.#loadAlone();
    if (!leases) return this.#load(undefined);
    let lease: Lease | undefined;
    const since = this.#now();
    try {
      const answer = await this.#takeLease(leases);
      if (!('at' in answer)) return answer;
      lease = answer;
    } catch (error) {
      this.plan.throwIfAborted();
      // Without the fleet's lock the load still runs once in this process; its result just cannot be stored (P12).
      this.#fault('acquire', error, since);
    }
    return this.#load(lease);
  }

  /** What ran without a lease, or would be written to where nobody answered, is not kept. */
  async #loadAlone(): Promise<Landing> {
    this.plan.skipStore();
    // The others whose reads end now join before the loader begins.
    await sleep(this.host.platform.clock, GATHER_MS);
    this.plan.throwIfAborted();
    return this.#load(undefined);
  }

  async #takeLease(leases: Leases): Promise<Lease | Landing> {
    const { at, settings, stale } = this.request;
    for (;;) {
      const lastCaller = this.host.callers;
      const answer = await leases.acquire(at, settings.leaseMs, this.isRefresh);
      if (answer.kind === 'leased') {
        if (this.plan.isAborted) await leases.release(answer.lease);
        this.plan.throwIfAborted();
        this.plan.seeStale(() => this.#asLookup(answer.stale));
        return answer.lease;
      }
      if (answer.kind === 'hit') return this.#fromEntry(answer.entry, lastCaller);
      // Read before this flight began, so nobody who joined it may have that.
      if (this.isRefresh && stale) return this.#fromEntry(stale, 0);
      await answer.changed(settings.leaseMs);
      this.plan.throwIfAborted();
    }
  }

  async #load(lease: Lease | undefined): Promise<Landing> {
    const { storage, values, state } = this.host;
    const stopRenewing = lease ? this.#keepRenewed(lease) : undefined;
    if (lease)
      this.plan.onAbort(() => {
        stopRenewing?.();
        void storage.leases!.release(lease);
      });
    const startedAt = this.#now();
    const lastCaller = storage.leases ? this.host.callers : Infinity;
    state.loads++;
    try {
      const value = values.admit(await this.request.loader(this.plan), this.request.at.key);
      return await this.#store({ value, loadMs: this.#now() - startedAt, lastCaller }, lease);
    } catch (error) {
      state.loadErrors++;
      if (lease) await storage.leases!.release(lease);
      throw error;
    } finally {
      stopRenewing?.();
    }
  }

  #keepRenewed(lease: Lease): () => void {
    const { storage, platform } = this.host;
    const { leaseMs } = this.request.settings;
    let stop = (): void => undefined;
    let stopped = false;
    const arm = (): void => {
      if (!stopped) stop = platform.clock.after(leaseMs / 3, renew);
    };
    const renew = (): void => {
      storage.leases!.renew(lease, leaseMs).then(
        (valid) => (valid ? arm() : undefined),
        (error: unknown) => {
          this.#fault('renew', error);
          // Still ours for two thirds of its time, for all that is known.
          arm();
        },
      );
    };
    arm();
    return () => {
      stopped = true;
      stop();
    };
  }

  async #store(loaded: Loaded, lease: Lease | undefined): Promise<Landing> {
    const { plan, flight, host } = this;
    const { tags } = plan;
    const mayStore = plan.stores && (lease !== undefined || host.storage.leases === undefined);
    const confirming = host.callers;
    if (!mayStore || flight.isFencedFor(tags)) {
      const isAsked = flight.lastJoined > loaded.lastCaller;
      const isConfirmed = lease !== undefined && (await this.#giveBack(lease, isAsked));
      const fenced = flight.isFencedFor(tags);
      return this.#fromLoader(loaded, isConfirmed ? confirming : loaded.lastCaller, fenced);
    }
    const entry = this.#newEntry(loaded);
    const storedAt = this.#now();
    const stored = await this.#put(entry, lease);
    const fenced = flight.isFencedFor(tags) || (lease !== undefined && stored === false);
    return stored === true
      ? this.#fromLoader(loaded, confirming, fenced, storedAt + entry.ttlMs)
      : this.#fromLoader(loaded, loaded.lastCaller, fenced);
  }

  #newEntry({ value, loadMs }: Loaded): NewEntry {
    const { settings, ttlMs, graceMs, tags } = this.plan;
    return {
      value,
      ttlMs: jittered(ttlMs, settings.jitter, this.host.platform.random),
      graceMs,
      sliding: settings.sliding,
      tags,
      loadMs,
    };
  }

  /** Without storing. `isAsked`: somebody joined since the loader began, who has to know whether the lease was still valid. */
  async #giveBack(lease: Lease, isAsked: boolean): Promise<boolean> {
    const leases = this.host.storage.leases!;
    const since = this.#now();
    let isConfirmed = false;
    try {
      isConfirmed = isAsked && (await leases.renew(lease, this.request.settings.leaseMs));
    } catch (error) {
      this.#fault('renew', error, since);
    }
    const released = leases.release(lease);
    // Who has waited for the storage in vain does not wait for it again; a failed release says so itself.
    if (!this.flight.isAway) await this.#patiently(released);
    return isConfirmed;
  }

  /** Not for a whole deadline: whoever joined and has to begin anew would wait for a second one (P12). */
  #patiently(released: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.host.platform.clock.after(PATIENCE_MS, resolve);
      void released.then(() => {
        stop();
        resolve();
      });
    });
  }

  /** `undefined` when the storage failed: that is a fault, not a fence. */
  async #put(entry: NewEntry, lease: Lease | undefined): Promise<boolean | undefined> {
    const { storage } = this.host;
    const { at, settings } = this.request;
    const since = this.#now();
    try {
      if (lease) return await storage.leases!.store(lease, entry, settings.tiers);
      // No await before this call: between the fence check and a synchronous write nothing can come in between.
      const stillValid = (): boolean => !this.flight.isFencedFor(entry.tags);
      const written = storage.write(at, entry, { ...settings.tiers, stillValid });
      return isPromise(written) ? await written : written;
    } catch (error) {
      this.#fault('store', error, since);
      return undefined;
    }
  }

  /** @param freshUntil monotonic ms, of what was stored */
  #fromLoader(
    { value }: Loaded,
    lastCaller: number,
    fenced: boolean,
    freshUntil?: number,
  ): Landing {
    const stored = freshUntil !== undefined;
    const { tags } = this.plan;
    return { value, from: 'loader', stored, fenced, lastCaller, freshUntil, tags };
  }

  #fromEntry(entry: StoredEntry, lastCaller: number): Landing {
    const { storage, values } = this.host;
    // Values from bytes are fresh objects, but one flight serves many callers: admit, so that each release is a copy.
    const value =
      storage.holds === 'values' ? entry.value : values.admit(entry.value, this.request.at.key);
    return {
      value,
      from: 'storage',
      stored: true,
      fenced: this.flight.isFencedFor(entry.tags),
      lastCaller,
      freshUntil: entry.freshUntil,
      tags: entry.tags,
    };
  }

  #asLookup(stale: StoredEntry | undefined): Lookup<unknown> {
    if (!stale) return MISS;
    const { platform, values } = this.host;
    return {
      hit: true,
      value: values.release(stale.value),
      expiresAt: platform.clock.now() + (stale.freshUntil - this.#now()),
      stale: true,
      tags: stale.tags,
    };
  }

  /** @param since when this load began to wait for the storage, which has failed now */
  #fault(during: string, error: unknown, since = Infinity): void {
    const { state, storage } = this.host;
    const { key, scope } = this.request.at;
    state.onFault({ during, storage: storage.type, error, key, scope });
    if (this.#now() - since >= PATIENCE_MS) this.flight.isAway = true;
  }

  #now(): number {
    return this.host.platform.clock.monotonic();
  }
}
