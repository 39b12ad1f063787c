import { CacheBulk } from './cache-bulk.js';
import { CacheChanges } from './cache-changes.js';
import {
  checkedPairs,
  checkFunction,
  checkIds,
  checkKeys,
  checkOptions,
} from './call-arguments.js';
import type { CacheKey } from './cache-key.js';
import { encodeKey } from './cache-key.js';
import { CacheListing } from './cache-listing.js';
import { CacheMap } from './cache-map.js';
import type {
  CacheOptions,
  CacheStats,
  ChangeOptions,
  GetOptions,
  IncrementOptions,
  ListedValue,
  ListingOptions,
  Loader,
  LoadOptions,
  LookupOptions,
  ManyLoader,
  ScopeOption,
  SetOptions,
  TouchOptions,
} from './cache-options.js';
import { CacheReader, type LoadReport, type PreparedHits, type PromptHit } from './cache-reader.js';
import { CacheState } from './cache-state.js';
import { CacheWriter } from './cache-writer.js';
import { toMs, type Duration } from './duration.js';
import type { StoredEntry } from './entry.js';
import { InvalidOptionsError, UnsupportedError } from './errors.js';
import type { NewEntry } from './entry.js';
import { jittered, keepSettings, loadSettings, type KeepSettings } from './load-settings.js';
import { Loading } from './loading.js';
import { MISS, type InheritedLookup, type Lookup } from './lookup.js';
import { resolveOptions, type ResolvedOptions } from './options.js';
import { openStorage } from './open-storage.js';
import { ScopedCache } from './scoped-cache.js';
import type { ScopeTree } from './scope-tree.js';
import {
  GLOBAL_SCOPE,
  type ScopeContext,
  type ScopeIds,
  type ScopePath,
  type ScopeSelector,
} from './scope.js';
import { StorageFaults } from './storage-faults.js';
import type {
  Awaitable,
  CacheStorage,
  EntryAddress,
  OpenStorage,
  Platform,
  RestoreReport,
  SnapshotControl,
} from './storage.js';
import { classNamedBy } from './value/class-codecs.js';
import { valuePolicy, type ValuePolicy } from './value/value-policy.js';
import type { WriteFence } from './write-fences.js';

/**
 * A scoped cache: encode the key, read, judge, load, store, in this order and nowhere else.
 *
 * Every method rejects with InvalidKeyError, UnknownScopeError, MissingScopeError or InvalidDurationError for bad input,
 * and then has changed nothing. Storage faults follow the `onStorageError` option (P12, P13).
 */
export class Cache {
  /** The `namespace` option. */
  readonly namespace: string;
  /** The scope levels of this cache. */
  readonly scopes: ScopeTree;
  /** The `enabled` option. */
  readonly enabled: boolean;
  readonly #options: ResolvedOptions;
  readonly #platform: Platform;
  readonly #context: ScopeContext | undefined;
  readonly #state: CacheState;
  readonly #storage: OpenStorage;
  readonly #values: ValuePolicy;
  readonly #loading: Loading;
  readonly #reader: CacheReader;
  readonly #faults: StorageFaults;
  readonly #writer: CacheWriter;
  readonly #changes: CacheChanges;
  readonly #listing: CacheListing;
  readonly #bulk: CacheBulk;

  /**
   * @param options see {@link CacheOptions}
   * @param platform clock, digest and randomness
   * @param context where level names find their ids; without it only explicit ids work
   * @param defaultStorage used when `options.storage` is omitted
   */
  constructor(
    options: CacheOptions,
    platform: Platform,
    context: ScopeContext | undefined,
    defaultStorage: () => CacheStorage,
  ) {
    this.#options = resolveOptions(options, defaultStorage);
    this.#platform = platform;
    this.#context = context;
    this.namespace = this.#options.namespace;
    this.scopes = this.#options.scopes;
    this.enabled = this.#options.enabled;
    this.#state = new CacheState(this.#options.listener);
    this.#values = valuePolicy(this.#options.isolation, this.#options.codecs);
    this.#storage = openStorage(this.#options, platform, this.#state, this.#values);
    const release = this.#releaser();
    this.#loading = new Loading(this.#storage, this.#values, platform, this.#state);
    this.#faults = new StorageFaults(this.#storage.type, this.#state, this.#options.throws);
    const shared = [this.#storage, this.#loading, this.#state, this.#faults] as const;
    this.#writer = new CacheWriter(...shared);
    this.#changes = new CacheChanges(...shared, this.#values);
    this.#reader = new CacheReader(...shared, this.#values, platform.clock, release);
    this.#bulk = new CacheBulk(...shared, this.#reader);
    this.#listing = new CacheListing(this.#storage, this.#faults, platform.clock, release);
  }

  /** The cached value, or `default` (or `undefined`) on a miss. Use {@link lookup} where `undefined` may be a value. */
  get<T = unknown>(key: CacheKey, options?: GetOptions<T>): Promise<T | undefined> {
    try {
      return this.#reader.get<T>(this.#addressOf(key, options), options);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  /** A read that tells a miss from every value: `{ hit: true, value, expiresAt, stale, tags }` or `{ hit: false }`. */
  async lookup<T = unknown>(key: CacheKey, options?: LookupOptions): Promise<Lookup<T>> {
    return this.#reader.lookup<T>(this.#addressOf(key, options), options);
  }

  /** Whether there is a live entry. Agrees with `get`; does not count as a read and renews nothing. */
  async has(key: CacheKey, options?: LookupOptions): Promise<boolean> {
    return this.#reader.has(this.#addressOf(key, options), options);
  }

  /**
   * Stores a value, whatever was there before.
   * @throws SerializationError naming what in the value cannot be stored; the old entry stays then
   */
  set<T = unknown>(key: CacheKey, value: T, options?: SetOptions): Promise<void> {
    try {
      const at = this.#addressOf(key, options);
      const keep = keepSettings(this.#options.defaults, options);
      if (keep.ttlMs === 0) return this.#writer.drop(at);
      return this.#writer.set(at, this.#newEntry(value, at, keep), keep.tiers);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  /**
   * @internal for values that take time to make, such as what `@CachePut` stores: taken before the value is begun, handed to
   * {@link setFenced} with the value, and closed in any case.
   */
  openFence(): WriteFence {
    return this.#loading.fences.open();
  }

  /**
   * @internal stores a value unless its entry was written or evicted since `fence` was taken; then the entry is removed
   * (docs/decisions/0024). `true`: it is stored.
   */
  async setFenced(
    key: CacheKey,
    value: unknown,
    options: SetOptions | undefined,
    fence: WriteFence,
  ): Promise<boolean> {
    const at = this.#addressOf(key, options);
    const keep = keepSettings(this.#options.defaults, options);
    if (keep.ttlMs > 0)
      return this.#writer.setFenced(at, this.#newEntry(value, at, keep), keep.tiers, fence);
    await this.#writer.drop(at);
    return false;
  }

  /**
   * The cached value, or what `loader` makes of a miss. One load per key at a time; its error reaches all who wait,
   * nothing is stored, and the next call tries again. See docs/loading.md for timeouts, grace and refreshes.
   */
  getOrSet<T = unknown>(key: CacheKey, loader: Loader<T>, options?: LoadOptions): Promise<T> {
    try {
      const at = this.#addressOf(key, options);
      const settings = loadSettings(this.#options.defaults, options);
      return this.#reader.getOrSet(at, loader, settings) as Promise<T>;
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  /**
   * {@link getOrSet}, telling also where the value came from. Decorators and `Cache-Status` are built on it, so a failed
   * read is a miss here whatever `onStorageError` says: a storage fault never fails a decorated call (P12).
   */
  async getOrSetDetailed<T = unknown>(
    key: CacheKey,
    loader: Loader<T>,
    options?: LoadOptions,
  ): Promise<LoadReport<T>> {
    const at = this.#addressOf(key, options);
    const settings = loadSettings(this.#options.defaults, options);
    return (await this.#reader.getOrSetDetailed(at, loader, settings)) as LoadReport<T>;
  }

  /**
   * @internal options of calls that will be made again and again, checked once. `undefined` where {@link hitNow} can never
   * answer: the storage is not in this process, or the options refresh ahead, which needs the loader.
   * @throws what the calls themselves would throw for bad options
   */
  prepareHits(options: LoadOptions): PreparedHits | undefined {
    const { refreshAhead, earlyExpiration, tiers } = loadSettings(this.#options.defaults, options);
    if (options.type !== undefined) this.#registerType(options.type);
    const isPlain = (refreshAhead ?? 1) === 1 && (earlyExpiration ?? 0) === 0;
    const answersAtOnce = this.#storage.isLocal === true && this.#storage.leases === undefined;
    return isPlain && answersAtOnce ? { tiers } : undefined;
  }

  /**
   * @internal a fresh hit without a promise; `undefined` when the call must go the usual way, which then counts the read.
   * For handlers, whose callers do not need a promise either.
   * @param key by `encodeKey`
   */
  hitNow(
    key: string,
    scope: ScopeSelector | undefined,
    prepared: PreparedHits,
  ): PromptHit | undefined {
    const at = { scope: this.#pathOf(scope), key };
    return this.#reader.hitNow(at, prepared);
  }

  /** Removes an entry; `true` only when it was live. */
  async delete(key: CacheKey, options?: ScopeOption): Promise<boolean> {
    return this.#writer.delete(this.#addressOf(key, options));
  }

  /** Gives a live entry a new TTL from now without rewriting its value; `false` when there is none. `ttl: 0` removes it. */
  async touch(key: CacheKey, options?: TouchOptions): Promise<boolean> {
    const at = this.#addressOf(key, options);
    return this.#writer.touch(
      at,
      options?.ttl === undefined ? this.#options.defaults.ttlMs : toMs(options.ttl, 'ttl'),
    );
  }

  /**
   * Atomically merges `patch` into an object, top-level fields only, and returns the result, which gets a full TTL.
   * A missing or expired entry starts from the patch alone.
   * @throws EntryNotFoundError with `mustExist` and no live entry
   * @throws InvalidOptionsError when the patch or the cached value is no plain object
   */
  async merge<T extends object = Record<string, unknown>>(
    key: CacheKey,
    patch: Partial<T>,
    options?: ChangeOptions,
  ): Promise<T> {
    const at = this.#addressOf(key, options);
    const keep = keepSettings(this.#options.defaults, options);
    return this.#values.release(await this.#changes.merge(at, patch, keep, options)) as T;
  }

  /** Atomic read-modify-write. `change` may run more than once, so it must have no side effects. Returns the new value. */
  async update<T = unknown>(
    key: CacheKey,
    change: (current: T | undefined) => T | Promise<T>,
    options?: ChangeOptions,
  ): Promise<T> {
    const at = this.#addressOf(key, options);
    const keep = keepSettings(this.#options.defaults, options);
    const changed = await this.#changes.update(
      at,
      change as (current: unknown) => unknown,
      keep,
      options,
    );
    return this.#values.release(changed) as T;
  }

  /** Adds `by` (default 1) atomically and returns the sum. A new counter starts at 0 and gets the TTL; later calls keep its expiry. */
  async increment(key: CacheKey, options?: IncrementOptions): Promise<number> {
    const at = this.#addressOf(key, options);
    const ttlMs =
      options?.ttl === undefined ? this.#options.defaults.ttlMs : toMs(options.ttl, 'ttl');
    return this.#changes.increment(at, options?.by === undefined ? 1 : options.by, ttlMs);
  }

  /** Values in the order of `keys`, `undefined` for each miss. One round trip on storages that have one. */
  async getMany<T = unknown>(
    keys: readonly CacheKey[],
    options?: LookupOptions,
  ): Promise<(T | undefined)[]> {
    const at = this.#addressesOf(keys, options);
    const entries = await this.#bulk.read(at, options);
    return entries.map((entry, index) => this.#reader.valueOf<T>(entry, at[index]!, options));
  }

  /** Stores several values with the same options, in one round trip where possible. All are checked before any is stored. */
  async setMany<T = unknown>(
    values: Iterable<readonly [CacheKey, T]> | Readonly<Record<string, T>>,
    options?: SetOptions,
  ): Promise<void> {
    if (options !== undefined) checkOptions(options);
    const pairs = checkedPairs(values);
    const keep = keepSettings(this.#options.defaults, options);
    const items = pairs.map(([key, value]) => {
      const at = this.#addressOf(key, options);
      const ttlMs = jittered(keep.ttlMs, keep.jitter, this.#platform.random);
      return [at, { ...keep, ttlMs, value: this.#values.admit(value, at.key) }] as const;
    });
    await this.#bulk.write(items, keep.tiers);
  }

  /** How many live entries it removed. */
  async deleteMany(keys: readonly CacheKey[], options?: ScopeOption): Promise<number> {
    return this.#bulk.remove(this.#addressesOf(keys, options));
  }

  /**
   * Values in the order of `keys`; `loader` is called once, with the missing keys only. Single-flight per key is shared
   * with {@link getOrSet}.
   * @throws BulkLoadError when some keys failed; the others are stored, and its `results` tell which
   */
  async getOrSetMany<T = unknown, K extends CacheKey = string>(
    keys: readonly K[],
    loader: ManyLoader<K, T>,
    options?: LoadOptions,
  ): Promise<T[]> {
    checkFunction(loader, 'getOrSetMany: the loader');
    const at = this.#addressesOf(keys, options);
    const settings = loadSettings(this.#options.defaults, options);
    const values = await this.#bulk.obtain(
      at,
      keys,
      loader as ManyLoader<CacheKey, unknown>,
      settings,
    );
    return values.map((value) => this.#values.release(value) as T);
  }

  /**
   * Looks for the key at `scope` and at every wider one up to global, nearest first, in one round trip, and says where it
   * was found. For settings with defaults at each level.
   */
  async getInherited<T = unknown>(
    key: CacheKey,
    options?: LookupOptions,
  ): Promise<InheritedLookup<T>> {
    const nearest = this.#addressOf(key, options);
    const at = nearest.scope.lineage().map((scope) => ({ scope, key: nearest.key }));
    const entries = await this.#bulk.readAll(at, options);
    const index = entries.findIndex(
      (entry) =>
        entry !== undefined && (options?.allowStale === true || this.#reader.isFresh(entry)),
    );
    const found = this.#reader.lookupOf<T>(
      entries[index],
      at[index] ?? nearest,
      options?.allowStale === true,
    );
    return found.hit ? { ...found, scope: at[index]!.scope.toSelector() } : MISS;
  }

  /**
   * Removes everything in the scope and below it, at once. Returns how many live entries that were.
   * @throws InvalidOptionsError without a scope: an id that was not found must not evict everybody's entries
   */
  async evictScope(scope: ScopeSelector): Promise<number> {
    return this.#writer.evictScope(this.#pathOf(named(scope, 'evictScope')));
  }

  /** Removes the entries in the scope's subtree that carry at least one of the tags. Returns how many live ones that were. */
  async evictTags(tags: string | readonly string[], options?: ScopeOption): Promise<number> {
    return this.#writer.evictTags(this.#scopeOf(options), typeof tags === 'string' ? [tags] : tags);
  }

  /** Makes everything in the scope's subtree stale: no hit any more, but within its grace it may still serve. */
  async expireScope(scope: ScopeSelector): Promise<number> {
    return this.#writer.expireScope(this.#pathOf(named(scope, 'expireScope')));
  }

  /** {@link expireScope}, only for entries that carry at least one of the tags. */
  async expireTags(tags: string | readonly string[], options?: ScopeOption): Promise<number> {
    return this.#writer.expireTags(
      this.#scopeOf(options),
      typeof tags === 'string' ? [tags] : tags,
    );
  }

  /** Removes all entries of this cache's namespace and nothing else (P14), and starts the statistics anew. */
  async clear(): Promise<void> {
    await this.#writer.clear();
    this.#state.reset();
  }

  /** Keys of live entries, in no particular order. Renews nothing. Entries written meanwhile may or may not be among them. */
  keys(options?: ListingOptions): AsyncIterable<CacheKey> {
    return this.#listing.keys(this.#scopeOf(options), options);
  }

  /** Live entries with their scope, value, expiry and tags. */
  entries<T = unknown>(options?: ListingOptions): AsyncIterable<ListedValue<T>> {
    return this.#listing.entries(this.#scopeOf(options), options) as AsyncIterable<ListedValue<T>>;
  }

  /** How many live entries the scope's subtree holds. */
  async size(options?: ScopeOption): Promise<number> {
    const scope = this.#scopeOf(options);
    return this.#faults.honestly('size', scope, () => this.#storage.count(scope));
  }

  /** Reclaims expired entries now rather than at the next sweep; returns how many. */
  async removeExpired(): Promise<number> {
    const remove = (): Awaitable<number> => this.#storage.removeExpired();
    return this.#faults.honestly('removeExpired', GLOBAL_SCOPE, remove);
  }

  /** Removes entries of the scope's subtree that nobody has read or written for longer than `idle`; returns how many. */
  async removeIdle(idle: Duration, options?: ScopeOption): Promise<number> {
    const scope = this.#scopeOf(options);
    const idleMs = toMs(idle, 'idle');
    const remove = (): Awaitable<number> => this.#storage.removeIdle(scope, idleMs);
    return this.#faults.honestly('removeIdle', scope, remove);
  }

  /** Figures since the cache was made or cleared. */
  async stats(): Promise<CacheStats> {
    const { hits, misses, staleHits, loads, loadErrors, sets, deletes, evictions, errors } =
      this.#state;
    const reads = hits + misses;
    return {
      hits,
      misses,
      hitRate: reads === 0 ? 0 : hits / reads,
      staleHits,
      loads,
      loadErrors,
      sets,
      deletes,
      evictions: { ...evictions },
      errors,
      storageType: this.#storage.type,
      totalKeys: await this.#writer.countOrUnknown(),
      storage: this.#storage.figures?.() ?? {},
    };
  }

  /**
   * This cache seen from one scope: the same methods without `scope`. Level names are resolved anew by each call.
   * @throws InvalidOptionsError without a scope: an id that was not found must not lead to everybody's entries
   */
  in(scope: ScopeSelector): ScopedCache {
    return new ScopedCache(this, this.#ownSelector(named(scope, 'in')));
  }

  /** A scope as a Map with asynchronous methods. */
  asMap<V = unknown>(scope: ScopeSelector = 'global'): CacheMap<V> {
    return new CacheMap<V>(this, this.#ownSelector(scope));
  }

  /** Runs `work` with these ids answering for level names, for jobs, queues and scripts. Follows every await inside. */
  runInScope<T>(ids: ScopeIds, work: () => T): T {
    checkIds(ids);
    this.#pathOf(ids);
    checkFunction(work, 'runInScope');
    return this.#context ? this.#context.run({ ...ids }, work) : work();
  }

  /**
   * Resolves when the storage is usable or known to be away. The module waits for it at start-up.
   * @throws StorageUnavailableError when the storage was told to fail fast and is not there
   */
  async ready(): Promise<void> {
    await this.#storage.ready?.();
  }

  /**
   * Writes all live entries to the snapshot file now. `false`: it failed, which was reported, and the previous snapshot is
   * untouched. For storages made by `withSnapshots`; @throws UnsupportedError for others
   */
  async dump(): Promise<boolean> {
    return this.#snapshots().dump();
  }

  /** Brings the newest good snapshot back; entries that are in the cache already stay. See {@link dump}. */
  async restore(): Promise<RestoreReport> {
    return this.#snapshots().restore();
  }

  /** Dumps at every interval from now on; again, there is no second timer. See {@link dump}. */
  startAutoDump(): void {
    this.#snapshots().startAutoDump();
  }

  /** See {@link dump}. */
  stopAutoDump(): void {
    this.#snapshots().stopAutoDump();
  }

  /** Another interval for {@link startAutoDump}; `0` stops it. */
  setAutoDumpInterval(every: Duration): void {
    this.#snapshots().setAutoDumpInterval(every);
  }

  /** Stops background work and closes what the storage opened. Idempotent. */
  async close(): Promise<void> {
    this.#loading.close(new Error('The cache is closed.'));
    await this.#storage.close();
  }

  /** @internal for snapshots, tools and tests: the open storage. */
  get storage(): OpenStorage {
    return this.#storage;
  }

  /** @internal loads and fenced writes under way here; 0 when idle (P16). */
  get loadsUnderWay(): number {
    return this.#loading.size + (this.#loading.fences.isIdle ? 0 : 1);
  }

  #addressesOf(keys: readonly CacheKey[], options: ScopeOption | undefined): EntryAddress[] {
    checkKeys(keys);
    return keys.map((key) => this.#addressOf(key, options));
  }

  #newEntry(value: unknown, at: EntryAddress, keep: KeepSettings): NewEntry {
    const { graceMs, sliding, tags } = keep;
    const ttlMs = jittered(keep.ttlMs, keep.jitter, this.#platform.random);
    return { value: this.#values.admit(value, at.key), ttlMs, graceMs, sliding, tags };
  }

  #snapshots(): SnapshotControl {
    const { snapshots } = this.#storage;
    if (snapshots) return snapshots;
    throw new UnsupportedError(
      `The ${this.#storage.type} storage of this cache has no snapshots: use storage: withSnapshots(memoryStorage(), { file: … }) of nestjs-scoped-cache/file.`,
    );
  }

  #addressOf(key: CacheKey, options: (ScopeOption & { type?: unknown }) | undefined): EntryAddress {
    if (options === undefined) return { scope: GLOBAL_SCOPE, key: encodeKey(key) };
    // Only then: a call that names its scope is not misplaced, and hits are short.
    if (options?.scope === undefined) checkOptions(options);
    if (options.type !== undefined) this.#registerType(options.type);
    return { scope: this.#pathOf(options.scope), key: encodeKey(key) };
  }

  #registerType(type: unknown): void {
    const named = classNamedBy(type);
    if (named !== undefined) this.#options.codecs.registerType(named);
  }

  #scopeOf(options: ScopeOption | undefined): ScopePath {
    if (options !== undefined) checkOptions(options);
    return this.#pathOf(options?.scope);
  }

  #pathOf(scope: ScopeSelector | undefined): ScopePath {
    return scope === undefined ? GLOBAL_SCOPE : this.scopes.pathOf(scope, this.#context);
  }

  /** Ids are checked and copied: what their owner does to them later must not lead to another scope. */
  #ownSelector(scope: ScopeSelector): ScopeSelector {
    return typeof scope === 'string' ? scope : this.#pathOf(scope).toSelector();
  }

  #releaser(): (entry: StoredEntry) => unknown {
    if (this.#storage.holds === 'values') return this.#values.releaseFrom;
    // Values made from bytes belong to nobody else yet; only 'frozen' has something left to do.
    return this.#options.isolation === 'frozen'
      ? ({ value }) => this.#values.release(this.#values.admit(value, 'value'))
      : ({ value }) => value;
  }
}

function named(scope: ScopeSelector | undefined, operation: string): ScopeSelector {
  if (scope !== undefined) return scope;
  throw new InvalidOptionsError(
    `${operation}: expected a scope, got undefined. Give 'global' to mean everything.`,
  );
}
