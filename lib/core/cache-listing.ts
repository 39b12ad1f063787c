import { decodeKey, type CacheKey } from './cache-key.js';
import type { ListedValue, ListingOptions } from './cache-options.js';
import type { Clock } from './clock.js';
import { globMatcher } from './glob.js';
import type { StoredEntry } from './entry.js';
import { flag } from './load-settings.js';
import type { StorageFaults } from './storage-faults.js';
import type { ListedEntry, ListOptions, OpenStorage } from './storage.js';
import type { ScopeIds, ScopePath } from './scope.js';

/** Listings: live entries only, in bounded batches, renewing nothing. */
export class CacheListing {
  constructor(
    readonly storage: OpenStorage,
    readonly faults: StorageFaults,
    readonly clock: Clock,
    readonly release: (entry: StoredEntry) => unknown,
  ) {}

  async *keys(scope: ScopePath, options: ListingOptions | undefined): AsyncGenerator<CacheKey> {
    const matches = keyMatcher(options?.match);
    const deep = flag(options?.deep, 'deep') ?? false;
    for await (const { address } of this.#list(scope, { deep, keysOnly: true })) {
      const key = decodeKey(address.key);
      if (matches(key)) yield key;
    }
  }

  async *entries(
    scope: ScopePath,
    options: ListingOptions | undefined,
  ): AsyncGenerator<ListedValue> {
    const matches = keyMatcher(options?.match);
    const deep = flag(options?.deep, 'deep') ?? false;
    for await (const { address, entry } of this.#list(scope, { deep })) {
      const key = decodeKey(address.key);
      if (!matches(key)) continue;
      const { freshUntil, tags } = entry;
      const expiresAt =
        freshUntil === Infinity
          ? Infinity
          : this.clock.now() + Math.round(freshUntil - this.clock.monotonic());
      yield {
        key,
        scope: address.scope.toSelector() as 'global' | ScopeIds,
        value: this.release(entry),
        expiresAt,
        tags,
      };
    }
  }

  async *#list(scope: ScopePath, options: ListOptions): AsyncGenerator<ListedEntry> {
    try {
      yield* this.storage.list(scope, options);
    } catch (error) {
      throw this.faults.honest('list', error, undefined, scope);
    }
  }
}

/** A glob looks at string keys, and at the first part of array keys when that is a string. */
function keyMatcher(match: string | undefined): (key: CacheKey) => boolean {
  if (match === undefined) return () => true;
  const matches = globMatcher(match);
  return (key) => {
    const text = typeof key === 'string' ? key : key[0];
    return typeof text === 'string' && matches(text);
  };
}
