/**
 * The port between the core and whatever keeps entries. Two sizes:
 *
 * - {@link BasicStorage}: get, set, delete, clear over bytes. Enough for a custom storage in 40 lines; the core adds
 *   scopes, tags, fences and expiry on top ({@link EpochStorage}).
 * - {@link StorageDriver}: opens an {@link OpenStorage}, which does all of that natively.
 *
 * The numbered clauses (S1…) are what `storageContract` in `nestjs-scoped-cache/testing` checks.
 */
import type { CacheBus } from './bus.js';
import type { CacheListener } from './cache-listener.js';
import type { Clock } from './clock.js';
import type { Duration } from './duration.js';
import type { EvictionRule } from './eviction/eviction-rule.js';
import type { NewEntry, StoredEntry } from './entry.js';
import type { ScopeTree } from './scope-tree.js';
import type { ScopePath } from './scope.js';
import type { Serializer } from './value/serializer.js';

/** A value now, or a promise of it. A storage that answers at once makes a hit cost no promise. */
export type Awaitable<T> = T | Promise<T>;

/** The place of one entry. Only the core makes them. */
export interface EntryAddress {
  readonly scope: ScopePath;
  /** Encoded by `encodeKey`: not empty, at most 64 kB, any characters. */
  readonly key: string;
}

/** What the platform gives the core, which itself imports nothing of it. */
export interface Platform {
  readonly clock: Clock;
  /** SHA-256 of the UTF-8 text, as 64 hex digits. */
  digest(text: string): string;
  /** CRC-32 of the bytes. */
  checksum(bytes: Uint8Array): number;
  /** At least 96 random bits as text without special characters. */
  randomToken(): string;
  /** A number from 0 up to, but not including, 1. */
  random(): number;
}

/** What the core gives a storage when it opens it. One host for each cache. */
export interface StorageHost extends Platform {
  /** The cache's namespace: two caches with different ones never meet (P14), whatever characters it holds. */
  readonly namespace: string;
  readonly scopes: ScopeTree;
  readonly serializer: Serializer;
  /** The `storageTimeout` option. */
  readonly timeoutMs?: number;
  /** Rules that this cache was given. A storage that cannot keep them must refuse to open. */
  readonly rules: readonly EvictionRule[];
  /** Told of removals and of faults. Never throws. */
  readonly listener: CacheListener;
  /** Copies a value in, for storages that take values from elsewhere than the core (rules, snapshots). */
  readonly admit?: (value: unknown, where: string) => unknown;
}

/** The `storage` option: a minimal storage, or a driver that does more natively. */
export type CacheStorage = BasicStorage | StorageDriver;

/**
 * The least a custom storage does: keep bytes under a string key.
 *
 * Keys hold only `[A-Za-z0-9_.:%-]` and are at most 200 characters long. Calls for one key never overlap.
 */
export interface BasicStorage {
  /** For statistics and messages, for example `'sqlite'`. */
  readonly name: string;
  /** The bytes last set, or `undefined`. */
  get(key: string): Awaitable<Uint8Array | undefined>;
  /** Keeps `bytes`. It may drop them at any time, and should after `ttlMs` (`Infinity`: no limit). */
  set(key: string, bytes: Uint8Array, ttlMs: number): Awaitable<void>;
  /** Forgets the key. */
  delete(key: string): Awaitable<void>;
  /** Forgets all keys that start with `prefix`, and only these. */
  clear(prefix: string): Awaitable<void>;
  /** All keys that start with `prefix`. Without it the cache cannot list, count or say how much an eviction removed. */
  keys?(prefix: string): AsyncIterable<string> | Iterable<string>;
  /** Releases what the storage opened. */
  close?(): Awaitable<void>;
}

/** A storage with scopes, tags and fences of its own. Holds configuration and shared connections; state is in what it opens. */
export interface StorageDriver {
  readonly name: string;
  /**
   * Opens this storage for one cache. Two hosts never share entries unless the storage itself is shared
   * (a server, a folder) and their namespaces are equal.
   * @throws InvalidOptionsError when the host asks for something that it cannot keep
   */
  open(host: StorageHost): OpenStorage;
  /** How processes that share this storage tell each other of changes; what `tieredStorage` uses by default. */
  readonly bus?: CacheBus;
}

/** Told apart by the `open` method. */
export function isDriver(storage: CacheStorage): storage is StorageDriver {
  return 'open' in storage;
}

/** How to read. */
export interface ReadOptions {
  /** Looks without being noticed: no sliding, no recency. */
  readonly peek?: boolean;
  /** Passes over the near tier (tiered storage only). */
  readonly skipNear?: boolean;
  /** Looks into the near tier only (tiered storage only): what may be outdated there is a miss. */
  readonly skipFar?: boolean;
}

/** How to write. */
export interface WriteOptions {
  readonly skipNear?: boolean;
  readonly skipFar?: boolean;
  /**
   * To be asked as late before the write as can be; by storages without leases synchronously just before it. `false` calls
   * it off: whoever wanted it has been told that it failed, or something newer is there.
   */
  readonly stillValid?: () => boolean;
}

/** One line of a listing. */
export interface ListedEntry {
  readonly address: EntryAddress;
  readonly entry: StoredEntry;
}

/** What to list. */
export interface ListOptions {
  /** The whole subtree rather than just this scope. */
  readonly deep: boolean;
  /** Leave the values out where that is cheaper (`entry.value` is then undefined). */
  readonly keysOnly?: boolean;
}

/**
 * An atomic change: given the live entry (or none), says what to keep instead.
 * Called again when another writer was faster, so it must have no side effects.
 */
export type Change = (current: StoredEntry | undefined) => Awaitable<ChangeResult>;
/** `keep`: leave as it is. `ttl: 'remaining'` keeps the current expiry. */
export type ChangeResult =
  | {
      readonly write: NewEntry;
      readonly ttl?: 'remaining';
      /** To be called synchronously just before the write by storages without leases, where the core's fences are all there is. */
      readonly beforeWrite?: () => void;
      /**
       * To be asked as late before the write as can be. `false`: the entry was written or evicted since the change was asked
       * for; ask for it anew.
       */
      readonly stillValid?: () => boolean;
    }
  | { readonly keep: true };

/**
 * A storage as one cache uses it.
 *
 * S1 an entry lives from its write until its TTL, exactly; then it is neither returned, listed nor counted.
 * S2 nothing done at one scope touches another one that does not lie below it.
 * S3 after `remove`, `evictScope`, `evictTags`, `clear` or `write` has resolved, nothing older is returned,
 *    by this or any other process on the same storage.
 * S4 a value comes back as it was written, `undefined` included; a miss is `undefined` instead of an entry.
 * S5 counts are of live entries, exact.
 * S6 lost metadata can only cause misses.
 * S7 a fault rejects (or throws) with the cause; it never looks like a miss.
 * S8 `close` lets the process exit, may be called twice, and leaves clients alone that were handed in.
 *
 * Methods may answer synchronously; one that cannot answer at once returns a promise. None hangs: each has a deadline.
 */
export interface OpenStorage {
  /** For statistics: `'memory'`, `'redis'`, … */
  readonly type: string;
  /** Whether values are kept as such, so that the core must copy them out (P11), or come fresh from bytes with each read. */
  readonly holds: 'values' | 'bytes';
  /** Nothing outside this process is involved: no deadlines, breaker or journal are needed. */
  readonly isLocal?: boolean;
  /** Every operation on single entries ends within a deadline of the storage's own; none is put around it then. */
  readonly keepsDeadlines?: boolean;
  /** Fleet-wide fences and single-flight. Without it the core's own, in this process, are all there is. */
  readonly leases?: Leases;

  /** The usable entry, which may be stale within its grace; renews a sliding one unless `peek`. */
  read(at: EntryAddress, options?: ReadOptions): Awaitable<StoredEntry | undefined>;
  /** Results in the order of `at`. One round trip where possible. */
  readMany(
    at: readonly EntryAddress[],
    options?: ReadOptions,
  ): Awaitable<(StoredEntry | undefined)[]>;
  /** Replaces whatever is there and voids leases on the key. `false`: a rule refused it (nothing kept, nothing older either). */
  write(at: EntryAddress, entry: NewEntry, options?: WriteOptions): Awaitable<boolean>;
  /** As many writes, in one round trip where possible. */
  writeMany(
    items: readonly (readonly [EntryAddress, NewEntry])[],
    options?: WriteOptions,
  ): Awaitable<void>;
  /** Removes, and voids leases on the key. `true` only when a live entry was removed. */
  remove(at: EntryAddress): Awaitable<boolean>;
  /** How many live entries it removed. */
  removeMany(at: readonly EntryAddress[]): Awaitable<number>;
  /** A new life of `ttlMs` from now for a live entry, its value untouched. `false`: no live entry. */
  touch(at: EntryAddress, ttlMs: number): Awaitable<boolean>;
  /** Atomic read-modify-write, across processes too. Resolves to what `change` returned last. Voids leases when it writes. */
  change(at: EntryAddress, change: Change): Awaitable<ChangeResult>;
  /**
   * Adds `by` to a number, atomically; starts from 0 with a life of `ttlMs`, keeps the expiry of an existing counter.
   * @throws InvalidOptionsError when the live value is no finite number
   */
  increment(at: EntryAddress, by: number, ttlMs: number): Awaitable<number>;

  /** Removes the subtree and voids its leases; says how many live entries that were. */
  evictScope(scope: ScopePath): Awaitable<number>;
  /** Removes the entries in the subtree that carry one of `tags`; says how many live ones that were. */
  evictTags(scope: ScopePath, tags: readonly string[]): Awaitable<number>;
  /** Makes the entries in the subtree stale: past their TTL, within their grace. With `tags`, only those carrying one. */
  expire(scope: ScopePath, tags: readonly string[] | undefined): Awaitable<number>;
  /** Removes all entries of this namespace and nothing else. */
  clear(): Awaitable<void>;

  /** Live entries, in no particular order, in bounded batches. Does not renew anything. */
  list(scope: ScopePath, options: ListOptions): AsyncIterable<ListedEntry>;
  /** Live entries in the subtree. */
  count(scope: ScopePath): Awaitable<number>;
  /** Reclaims what has expired; says how many entries that were. */
  removeExpired(): Awaitable<number>;
  /** Removes entries in the subtree not read or written for more than `idleMs`; a read in between keeps one. */
  removeIdle(scope: ScopePath, idleMs: number): Awaitable<number>;
  /** Snapshots of its entries, where it was given a file for them. */
  readonly snapshots?: SnapshotControl;
  /** Figures of its own for `stats()`, flat. */
  figures?(): Readonly<Record<string, number>>;
  /** Resolves when the storage is usable, or known to be away; rejects when it must be there at the start and is not. */
  ready?(): Promise<void>;
  /** Flushes and releases. Idempotent. */
  close(): Awaitable<void>;
}

/** What a restore did. */
export interface RestoreReport {
  /** The snapshot that was used; `undefined`: none could be, the cache starts empty. */
  readonly file: string | undefined;
  /** When it was dumped, ms since the epoch. */
  readonly dumpedAt: number | undefined;
  readonly restored: number;
  /** Not taken since their time was over. */
  readonly expired: number;
  /** Not taken since the cache had the key already, or knows no such scope. */
  readonly skipped: number;
  /** Records that could not be read. */
  readonly damaged: number;
}

/** Dumps of a storage's entries to a file, and back. None of these rejects: what fails is reported to the listener. */
export interface SnapshotControl {
  /** `false`: it failed, and the previous snapshot is untouched. */
  dump(): Promise<boolean>;
  restore(): Promise<RestoreReport>;
  startAutoDump(): void;
  stopAutoDump(): void;
  setAutoDumpInterval(every: Duration): void;
}

/**
 * A lease is the right to store the result of one load: the distributed single-flight lock and the fence at once
 * (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013). `write`, `remove` and evictions void it.
 */
export interface Leases {
  /**
   * Reads the key and, on a miss (or on a stale entry), takes the lease on it, in one atomic step.
   * With `refresh`, takes it on a fresh entry too (and answers `busy` when another refresh runs).
   */
  acquire(at: EntryAddress, leaseMs: number, refresh?: boolean): Promise<LeaseAnswer>;
  /** Stores under a lease. `false`: it was void; nothing was stored. The lease ends either way. */
  store(lease: Lease, entry: NewEntry, options?: WriteOptions): Promise<boolean>;
  /** Gives the lease back without storing, so that the next caller need not wait for it to run out. Never rejects. */
  release(lease: Lease): Promise<void>;
  /** Makes it last `leaseMs` from now. `false`: it is void. */
  renew(lease: Lease, leaseMs: number): Promise<boolean>;
}

/** Opaque to the core. */
export interface Lease {
  readonly at: EntryAddress;
}

/** Fresh entry; or the lease (with the stale entry, if there is one); or somebody else loads. */
export type LeaseAnswer =
  | { readonly kind: 'hit'; readonly entry: StoredEntry }
  | { readonly kind: 'leased'; readonly lease: Lease; readonly stale: StoredEntry | undefined }
  | {
      readonly kind: 'busy';
      readonly stale: StoredEntry | undefined;
      /** Resolves when it is worth asking again, at the latest after `maxMs`. Never rejects. */
      changed(maxMs: number): Promise<void>;
    };
