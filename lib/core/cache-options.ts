import type { Duration } from './duration.js';
import type { EvictionRule } from './eviction/eviction-rule.js';
import type { CacheListener } from './cache-listener.js';
import type { Lookup } from './lookup.js';
import type { ScopeIds, ScopeLevel, ScopeSelector } from './scope.js';
import type { CacheStorage } from './storage.js';
import type { ClassCodec } from './value/class-codecs.js';
import type { Serializer } from './value/serializer.js';
import type { Isolation } from './value/value-policy.js';

/** The options of one cache. All optional; checked once, when the cache is made. */
export interface CacheOptions {
  /** Where entries are kept. Default: `memoryStorage()`. */
  readonly storage?: CacheStorage;
  /** The scope levels, outermost first. Default `['org', 'user', 'session']`, each nested in the one before. */
  readonly scopes?: readonly ScopeLevel[];
  /** Life of entries whose call names none. Default `'5m'`. `0`: nothing is kept unless the call says so. */
  readonly ttl?: Duration;
  /** Separates this cache from others on a shared storage. Any text of 1 to 200 bytes in UTF-8. Default `'cache'`. */
  readonly namespace?: string;
  /** Eviction rules, asked in this order. Default: none beside the storage's own limits. */
  readonly rules?: readonly EvictionRule[];
  /** How values become bytes on storages that keep bytes. Default: JSON with tags for rich values. */
  readonly serializer?: Serializer;
  /** Classes whose instances may be stored, beside those that a call names by `type`. Default: none. */
  readonly codecs?: readonly ClassCodec[];
  /**
   * How callers are kept from changing what is cached (P11): `'clone'` (default) copies in and out, `'frozen'` shares one
   * deeply frozen snapshot, `'none'` does nothing.
   */
  readonly isolation?: Isolation;
  /** What a call does when the storage fails: `'degrade'` (default) to a miss, or `'throw'` StorageUnavailableError. */
  readonly onStorageError?: 'degrade' | 'throw';
  /** `false`: every read misses and nothing is stored; loads still run one at a time for each key. Default `true`. */
  readonly enabled?: boolean;
  /** How long one storage operation may take before it counts as failed. Default `'250ms'`. Not used by memory. */
  readonly storageTimeout?: Duration;
  /** Defaults for the loading options of `getOrSet`. */
  readonly loading?: LoadingOptions;
  /** Told of hits, misses, removals and faults. */
  readonly listener?: CacheListener;
}

/** Where. */
export interface ScopeOption {
  /** Default `'global'`; on a view made by `in(scope)`, that scope. */
  readonly scope?: ScopeSelector;
}

/** A class whose instances the value is, or holds: `type: () => User`. */
export interface TypeOption {
  // oxlint-disable-next-line typescript/no-explicit-any -- a class with any constructor
  readonly type?: () => (abstract new (...args: any[]) => unknown) | undefined;
}

/** Passing over a tier; only on `tieredStorage`. */
export interface TierOptions {
  /** Reads what the far tier has, and writes only there. Default `false`. */
  readonly skipNear?: boolean;
  /** Reads and writes in this process only. Default `false`. */
  readonly skipFar?: boolean;
}

/** For `get`. */
export interface GetOptions<T = unknown> extends ScopeOption, TypeOption, TierOptions {
  /** Returned on a miss. A cached `null` or `undefined` is a hit and does not give way to it. */
  readonly default?: T;
}

/** For `lookup`, `has` and `getMany`. */
export interface LookupOptions extends ScopeOption, TypeOption, TierOptions {
  /** Also accept a value past its TTL, within its grace. Default `false`. */
  readonly allowStale?: boolean;
}

/** For `set`. */
export interface SetOptions extends ScopeOption, TypeOption, TierOptions {
  /** Life of the entry. Default: the cache's `ttl`. `0`: nothing is stored, and an existing entry is removed. */
  readonly ttl?: Duration;
  /** Each read (not listings) gives the entry its full TTL again. Default `false`. */
  readonly sliding?: boolean;
  /** Names for `evictTags`. At most 64, each 1 byte to 64 kB. Default: none. */
  readonly tags?: readonly string[];
  /** How long after its TTL the value may still serve when a loader fails or is slow. Default `0`. Never shortens a life. */
  readonly grace?: Duration;
  /** Takes up to this fraction (0 to 1) off or on to the TTL at random, so that entries do not expire together. Default `0`. */
  readonly jitter?: number;
}

/** How a miss is loaded. Nothing here costs anything while unused. */
export interface LoadingOptions {
  /** See {@link SetOptions.grace}. */
  readonly grace?: Duration;
  /** With a stale value in reach, waits only this long for the loader, then serves the stale value; the load goes on. */
  readonly softTimeout?: Duration;
  /** Rejects with LoadTimeoutError after this long and frees the key for the next caller. Default: none. */
  readonly hardTimeout?: Duration;
  /** After a failed load that was answered with a stale value, wait this long before the next try. Default `'1s'`. */
  readonly graceThrottle?: Duration;
  /** Refreshes in the background on a hit later than this fraction (0 to 1) of the TTL. Default: off. */
  readonly refreshAhead?: number;
  /** XFetch: refreshes before expiry with a probability that grows as expiry nears. 1 is the paper's choice. Default: off. */
  readonly earlyExpiration?: number;
  /** See {@link SetOptions.jitter}. */
  readonly jitter?: number;
  /** How long a process may hold the right to load one key before others try. Renewed while the loader runs. Default `'10s'`. */
  readonly lease?: Duration;
  /** Remember a loader's error for this long and throw it again. Default `0`: never. */
  readonly errorTtl?: Duration;
}

/** For `getOrSet`. */
export interface LoadOptions extends SetOptions, LoadingOptions {}

/** What a loader is given. */
export interface LoadContext {
  /** Aborted when nobody waits for the result any more: after `hardTimeout`, or when the cache closes. */
  readonly signal: AbortSignal;
  /** The entry's previous value while within its grace, for conditional requests. */
  readonly stale: Lookup<unknown>;
  /** Chooses the TTL of the result. `0`: do not store. */
  setTtl(ttl: Duration): void;
  /**
   * Chooses how long after its TTL the result may still serve. `0` also makes a failure of this very load final: its error
   * reaches the callers although a stale value could serve ("gone" or "forbidden" is an answer, not an outage).
   */
  setGrace(grace: Duration): void;
  /** Adds tags to the result. */
  addTags(...tags: string[]): void;
  /** Do not store the result. */
  skipStore(): void;
  /** Stores the result as a negative one (not found, for example) with this TTL instead of the usual. */
  negative(ttl: Duration): void;
}

/** Produces the value on a miss. Errors reach every waiter; nothing is stored then. */
export type Loader<T> = (context: LoadContext) => T | Promise<T>;

/** Produces the values for several missing keys, in their order. An `Error` instance in a place fails just that key. */
export type ManyLoader<K, T> = (
  keys: K[],
  context: LoadContext,
) => Promise<readonly (T | Error)[]> | readonly (T | Error)[];

/** For `merge` and `update`. */
export interface ChangeOptions extends ScopeOption, TypeOption {
  /** Life from now on. Default: the cache's `ttl`, anew. */
  readonly ttl?: Duration;
  /** See {@link SetOptions}; the default of these three: as the current entry has it. */
  readonly grace?: Duration;
  readonly tags?: readonly string[];
  readonly sliding?: boolean;
  /** Throws EntryNotFoundError, and creates nothing, when there is no live entry. Default `false`. */
  readonly mustExist?: boolean;
}

/** For `increment`. */
export interface IncrementOptions extends ScopeOption {
  /** Default 1. Any finite number. */
  readonly by?: number;
  /** Life of a new counter; an existing one keeps its expiry. Default: the cache's `ttl`. */
  readonly ttl?: Duration;
}

/** For `touch`. */
export interface TouchOptions extends ScopeOption {
  /** Life from now on. Default: the cache's `ttl`. `0` removes the entry. */
  readonly ttl?: Duration;
}

/** For `keys` and `entries`. */
export interface ListingOptions extends ScopeOption {
  /** A glob on string keys (`*`, `?`, `[ab]`, `\` escapes), never on ids. Array keys match by their first part if it is a string. */
  readonly match?: string;
  /** The whole subtree rather than just this scope. Default `false`. */
  readonly deep?: boolean;
}

/** One line of `entries`. */
export interface ListedValue<T = unknown> {
  readonly key: string | readonly unknown[];
  readonly scope: 'global' | ScopeIds;
  readonly value: T;
  /** Milliseconds since the epoch; `Infinity` for never. */
  readonly expiresAt: number;
  readonly tags: readonly string[];
}

/** Figures since the cache was made, or since `clear`. */
export interface CacheStats {
  readonly hits: number;
  readonly misses: number;
  /** hits / (hits + misses); 0 when there were no reads. */
  readonly hitRate: number;
  /** Hits that were past their TTL, within their grace. Counted as hits too. */
  readonly staleHits: number;
  readonly loads: number;
  readonly loadErrors: number;
  readonly sets: number;
  readonly deletes: number;
  /** Entries that left, by reason. */
  readonly evictions: Readonly<Record<string, number>>;
  /** Storage faults, rule faults, values that could not be stored. */
  readonly errors: number;
  readonly storageType: string;
  /** Live entries; -1 when the storage cannot say or cannot be reached. */
  readonly totalKeys: number;
  /** The storage's own figures. */
  readonly storage: Readonly<Record<string, number>>;
}
