import type { GetOptions, Loader, LookupOptions } from './cache-options.js';
import type { CacheState } from './cache-state.js';
import type { Clock } from './clock.js';
import type { StoredEntry } from './entry.js';
import { isDueEarly } from './early-refresh.js';
import { isPromise } from './guard.js';
import type { LoadSettings } from './load-settings.js';
import { PATIENCE_MS, requestOf } from './load-request.js';
import type { Loading } from './loading.js';
import { MISS, type Lookup } from './lookup.js';
import type { StorageFaults } from './storage-faults.js';
import type { EntryAddress, OpenStorage, WriteOptions } from './storage.js';
import type { ValuePolicy } from './value/value-policy.js';

/** What `getOrSetDetailed` tells beside the value. */
export interface LoadReport<T> {
  readonly value: T;
  /** `hit`: fresh from the cache; `stale`: past its TTL; `loaded`: this call ran the loader; `joined`: another call's load. */
  readonly outcome: 'hit' | 'stale' | 'loaded' | 'joined';
  /** Whether the value is in the cache now, as far as this call knows. */
  readonly stored: boolean;
  /** Ms since the epoch; `undefined` when it is not stored. */
  readonly expiresAt: number | undefined;
}

/** See `Cache.prepareHits`. */
export interface PreparedHits {
  readonly tiers: WriteOptions | undefined;
}

/** See `Cache.hitNow`. */
export interface PromptHit {
  readonly value: unknown;
  /** Until it is stale; `Infinity` for ever. */
  readonly leftMs: number;
}

type Found = StoredEntry | undefined;

/**
 * Everything that reads: find the entry, judge it, hand out its value, and on a miss load. A storage that answers at once
 * costs a hit no promise but the one that the caller gets.
 */
export class CacheReader {
  constructor(
    readonly storage: OpenStorage,
    readonly loading: Loading,
    readonly state: CacheState,
    readonly faults: StorageFaults,
    readonly values: ValuePolicy,
    readonly clock: Clock,
    /** Turns what a read found into what a caller may have (P11). */
    readonly release: (entry: StoredEntry) => unknown,
  ) {}

  get<T>(at: EntryAddress, options: GetOptions<T> | undefined): Promise<T | undefined> {
    const found = this.storage.read(at, options);
    return isPromise(found)
      ? found.then(
          (entry) => this.valueOf<T>(entry, at, options),
          (error: unknown) => this.valueOf<T>(this.faults.missOn(error, at, true), at, options),
        )
      : Promise.resolve(this.valueOf<T>(found, at, options));
  }

  async lookup<T>(at: EntryAddress, options: LookupOptions | undefined): Promise<Lookup<T>> {
    const entry = await this.#whenRead(this.storage.read(at, options), at);
    return this.lookupOf<T>(entry, at, options?.allowStale === true);
  }

  async has(at: EntryAddress, options: LookupOptions | undefined): Promise<boolean> {
    const entry = await this.#whenRead(this.storage.read(at, { ...options, peek: true }), at);
    return entry !== undefined && (this.isFresh(entry) || options?.allowStale === true);
  }

  getOrSet(at: EntryAddress, loader: Loader<unknown>, settings: LoadSettings): Promise<unknown> {
    const found = this.storage.read(at, settings.tiers);
    if (isPromise(found))
      return this.#readThrough(found, at, loader, settings, true).then((report) => report.value);
    if (found !== undefined && this.isFresh(found))
      return Promise.resolve(this.#freshHit(found, at, loader, settings));
    const request = requestOf(at, loader, settings, found, this.loading.revision);
    return this.loading.obtain(request).then((obtained) => this.values.release(obtained.value));
  }

  async getOrSetDetailed(
    at: EntryAddress,
    loader: Loader<unknown>,
    settings: LoadSettings,
  ): Promise<LoadReport<unknown>> {
    const found = this.storage.read(at, settings.tiers);
    return this.#readThrough(found, at, loader, settings, false);
  }

  hitNow(at: EntryAddress, { tiers }: PreparedHits): PromptHit | undefined {
    const found = this.storage.read(at, tiers);
    if (found === undefined || isPromise(found) || !this.isFresh(found)) return undefined;
    this.state.onHit(at.key, at.scope, false);
    const leftMs = found.freshUntil - this.clock.monotonic();
    return { value: this.release(found), leftMs };
  }

  /** The value of what a read found, counted as a hit or a miss. */
  valueOf<T>(
    entry: Found,
    at: EntryAddress,
    options: { default?: T; allowStale?: boolean } | undefined,
  ): T | undefined {
    if (entry !== undefined) {
      const fresh = this.isFresh(entry);
      if (fresh || options?.allowStale === true) {
        this.state.onHit(at.key, at.scope, !fresh);
        return this.release(entry) as T;
      }
    }
    this.state.onMiss(at.key, at.scope);
    return options?.default;
  }

  /** {@link valueOf}, telling a miss from every value. */
  lookupOf<T>(entry: Found, at: EntryAddress, allowStale: boolean): Lookup<T> {
    const fresh = entry !== undefined && this.isFresh(entry);
    if (entry === undefined || !(fresh || allowStale)) {
      this.state.onMiss(at.key, at.scope);
      return MISS;
    }
    this.state.onHit(at.key, at.scope, !fresh);
    return {
      hit: true,
      value: this.release(entry) as T,
      expiresAt: this.#wallTime(entry.freshUntil),
      stale: !fresh,
      tags: entry.tags,
    };
  }

  /** The value of a fresh entry, counted as a hit. */
  hit(entry: StoredEntry, at: EntryAddress): unknown {
    this.state.onHit(at.key, at.scope, false);
    return this.release(entry);
  }

  /** Whether a hit should refresh the entry in the background. */
  isDue(entry: StoredEntry, settings: LoadSettings): boolean {
    if (settings.refreshAhead === undefined && settings.earlyExpiration === undefined) return false;
    return isDueEarly(entry, settings, this.clock.monotonic(), this.loading.platform.random);
  }

  /** Entries without grace were judged by the storage already; the clock is asked only for the others. */
  isFresh(entry: StoredEntry): boolean {
    return entry.freshUntil === entry.staleUntil || this.clock.monotonic() < entry.freshUntil;
  }

  async #readThrough(
    found: Found | Promise<Found>,
    at: EntryAddress,
    loader: Loader<unknown>,
    settings: LoadSettings,
    mayThrow: boolean,
  ): Promise<LoadReport<unknown>> {
    const { revision } = this.loading;
    const read = isPromise(found) ? await this.#readForLoad(found, at, mayThrow) : found;
    const entry = read === AWAY ? undefined : read;
    if (entry !== undefined && this.isFresh(entry)) {
      const value = this.#freshHit(entry, at, loader, settings, revision);
      return { value, outcome: 'hit', stored: true, expiresAt: this.#wallTime(entry.freshUntil) };
    }
    const request = requestOf(at, loader, settings, entry, revision, read === AWAY);
    const obtained = await this.loading.obtain(request);
    const expiresAt =
      obtained.freshUntil === undefined ? undefined : this.#wallTime(obtained.freshUntil);
    return {
      value: this.values.release(obtained.value),
      outcome: obtained.outcome,
      stored: obtained.stored,
      expiresAt,
    };
  }

  #freshHit(
    entry: StoredEntry,
    at: EntryAddress,
    loader: Loader<unknown>,
    settings: LoadSettings,
    revision = this.loading.revision,
  ): unknown {
    const value = this.hit(entry, at);
    if (this.isDue(entry, settings))
      this.loading.refresh(requestOf(at, loader, settings, entry, revision));
    return value;
  }

  /** A failed read is a miss, or an error, as `onStorageError` says. */
  #whenRead(found: Found | Promise<Found>, at: EntryAddress): Promise<Found> {
    if (!isPromise(found)) return Promise.resolve(found);
    return found.catch((error: unknown) => this.faults.missOn(error, at, true));
  }

  /** {@link #whenRead}, telling whether it was worth asking the storage once more. */
  async #readForLoad(
    found: Promise<Found>,
    at: EntryAddress,
    mayThrow: boolean,
  ): Promise<Found | typeof AWAY> {
    const since = this.clock.monotonic();
    try {
      return await found;
    } catch (error) {
      this.faults.missOn(error, at, mayThrow);
      return this.clock.monotonic() - since < PATIENCE_MS ? undefined : AWAY;
    }
  }

  #wallTime(monotonic: number): number {
    if (monotonic === Infinity) return Infinity;
    return this.clock.now() + Math.round(monotonic - this.clock.monotonic());
  }
}

const AWAY = Symbol('away');
