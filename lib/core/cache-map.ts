import type { Cache } from './cache.js';
import type { CacheKey } from './cache-key.js';
import type { SetOptions } from './cache-options.js';
import type { ScopeSelector } from './scope.js';

/**
 * One scope as a Map with asynchronous methods, made by `cache.asMap(scope)`. Covers this scope alone, not those below it,
 * except that `clear` evicts the subtree.
 */
export class CacheMap<V = unknown> implements AsyncIterable<[CacheKey, V]> {
  /** @internal use `cache.asMap(scope)` */
  constructor(
    readonly cache: Cache,
    readonly scope: ScopeSelector,
  ) {}

  get(key: CacheKey): Promise<V | undefined> {
    return this.cache.get<V>(key, { scope: this.scope });
  }

  /** Resolves to this map, as `Map.set` returns it. */
  async set(key: CacheKey, value: V, options?: Omit<SetOptions, 'scope'>): Promise<this> {
    await this.cache.set(key, value, { ...options, scope: this.scope });
    return this;
  }

  has(key: CacheKey): Promise<boolean> {
    return this.cache.has(key, { scope: this.scope });
  }

  delete(key: CacheKey): Promise<boolean> {
    return this.cache.delete(key, { scope: this.scope });
  }

  async clear(): Promise<void> {
    await this.cache.evictScope(this.scope);
  }

  /** Live entries of this scope. O(entries). */
  async size(): Promise<number> {
    let size = 0;
    for await (const key of this.keys()) size += key === undefined ? 0 : 1;
    return size;
  }

  keys(): AsyncIterable<CacheKey> {
    return this.cache.keys({ scope: this.scope });
  }

  async *values(): AsyncGenerator<V> {
    for await (const [, value] of this.entries()) yield value;
  }

  async *entries(): AsyncGenerator<[CacheKey, V]> {
    for await (const { key, value } of this.cache.entries<V>({ scope: this.scope }))
      yield [key, value];
  }

  [Symbol.asyncIterator](): AsyncGenerator<[CacheKey, V]> {
    return this.entries();
  }

  async forEach(
    visit: (value: V, key: CacheKey, map: this) => void | Promise<void>,
  ): Promise<void> {
    for await (const [key, value] of this.entries()) await visit(value, key, this);
  }
}
