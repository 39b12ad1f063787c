import type { Cache } from './cache.js';
import type { CacheKey } from './cache-key.js';
import type { CacheMap } from './cache-map.js';
import type { LoadReport } from './cache-reader.js';
import type {
  ChangeOptions,
  GetOptions,
  IncrementOptions,
  ListedValue,
  ListingOptions,
  Loader,
  LoadOptions,
  LookupOptions,
  ManyLoader,
  SetOptions,
  TouchOptions,
} from './cache-options.js';
import type { Duration } from './duration.js';
import type { InheritedLookup, Lookup } from './lookup.js';
import type { ScopeSelector } from './scope.js';

type NoScope<T> = Omit<T, 'scope'>;

/** A cache seen from one scope, made by `cache.in(scope)`. The methods are those of `Cache`; see there. */
export class ScopedCache {
  /** @internal use `cache.in(scope)` */
  constructor(
    readonly cache: Cache,
    readonly scope: ScopeSelector,
  ) {}

  get<T = unknown>(key: CacheKey, options?: NoScope<GetOptions<T>>): Promise<T | undefined> {
    return this.cache.get<T>(key, this.#here(options));
  }

  lookup<T = unknown>(key: CacheKey, options?: NoScope<LookupOptions>): Promise<Lookup<T>> {
    return this.cache.lookup<T>(key, this.#here(options));
  }

  has(key: CacheKey, options?: NoScope<LookupOptions>): Promise<boolean> {
    return this.cache.has(key, this.#here(options));
  }

  set<T = unknown>(key: CacheKey, value: T, options?: NoScope<SetOptions>): Promise<void> {
    return this.cache.set(key, value, this.#here(options));
  }

  getOrSet<T = unknown>(
    key: CacheKey,
    loader: Loader<T>,
    options?: NoScope<LoadOptions>,
  ): Promise<T> {
    return this.cache.getOrSet(key, loader, this.#here(options));
  }

  getOrSetDetailed<T = unknown>(
    key: CacheKey,
    loader: Loader<T>,
    options?: NoScope<LoadOptions>,
  ): Promise<LoadReport<T>> {
    return this.cache.getOrSetDetailed(key, loader, this.#here(options));
  }

  delete(key: CacheKey): Promise<boolean> {
    return this.cache.delete(key, { scope: this.scope });
  }

  touch(key: CacheKey, options?: NoScope<TouchOptions>): Promise<boolean> {
    return this.cache.touch(key, this.#here(options));
  }

  merge<T extends object = Record<string, unknown>>(
    key: CacheKey,
    patch: Partial<T>,
    options?: NoScope<ChangeOptions>,
  ): Promise<T> {
    return this.cache.merge<T>(key, patch, this.#here(options));
  }

  update<T = unknown>(
    key: CacheKey,
    change: (current: T | undefined) => T | Promise<T>,
    options?: NoScope<ChangeOptions>,
  ): Promise<T> {
    return this.cache.update(key, change, this.#here(options));
  }

  increment(key: CacheKey, options?: NoScope<IncrementOptions>): Promise<number> {
    return this.cache.increment(key, this.#here(options));
  }

  getMany<T = unknown>(
    keys: readonly CacheKey[],
    options?: NoScope<LookupOptions>,
  ): Promise<(T | undefined)[]> {
    return this.cache.getMany<T>(keys, this.#here(options));
  }

  setMany<T = unknown>(
    values: Iterable<readonly [CacheKey, T]> | Readonly<Record<string, T>>,
    options?: NoScope<SetOptions>,
  ): Promise<void> {
    return this.cache.setMany(values, this.#here(options));
  }

  deleteMany(keys: readonly CacheKey[]): Promise<number> {
    return this.cache.deleteMany(keys, { scope: this.scope });
  }

  getOrSetMany<T = unknown, K extends CacheKey = string>(
    keys: readonly K[],
    loader: ManyLoader<K, T>,
    options?: NoScope<LoadOptions>,
  ): Promise<T[]> {
    return this.cache.getOrSetMany(keys, loader, this.#here(options));
  }

  getInherited<T = unknown>(
    key: CacheKey,
    options?: NoScope<LookupOptions>,
  ): Promise<InheritedLookup<T>> {
    return this.cache.getInherited<T>(key, this.#here(options));
  }

  /** Removes everything in this scope and below it. */
  evictScope(): Promise<number> {
    return this.cache.evictScope(this.scope);
  }

  evictTags(tags: string | readonly string[]): Promise<number> {
    return this.cache.evictTags(tags, { scope: this.scope });
  }

  expireScope(): Promise<number> {
    return this.cache.expireScope(this.scope);
  }

  expireTags(tags: string | readonly string[]): Promise<number> {
    return this.cache.expireTags(tags, { scope: this.scope });
  }

  /** Removes everything in this scope and below it: a view clears no more than it sees. */
  async clear(): Promise<void> {
    await this.evictScope();
  }

  keys(options?: NoScope<ListingOptions>): AsyncIterable<CacheKey> {
    return this.cache.keys(this.#here(options));
  }

  entries<T = unknown>(options?: NoScope<ListingOptions>): AsyncIterable<ListedValue<T>> {
    return this.cache.entries<T>(this.#here(options));
  }

  size(): Promise<number> {
    return this.cache.size({ scope: this.scope });
  }

  removeIdle(idle: Duration): Promise<number> {
    return this.cache.removeIdle(idle, { scope: this.scope });
  }

  asMap<V = unknown>(): CacheMap<V> {
    return this.cache.asMap<V>(this.scope);
  }

  #here<O extends object>(options: O | undefined): O & { scope: ScopeSelector } {
    // What is no object goes on as it is, for the cache to refuse.
    if (options !== undefined && (typeof options !== 'object' || options === null))
      return options as never;
    return { ...(options as O), scope: this.scope };
  }
}
