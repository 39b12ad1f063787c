import type { NewEntry, StoredEntry } from '../../core/entry.js';
import type { ScopePath } from '../../core/scope.js';
import { GLOBAL_SCOPE } from '../../core/scope.js';
import type {
  Awaitable,
  Change as EntryChange,
  ChangeResult,
  EntryAddress,
  Leases,
  ListedEntry,
  ListOptions,
  OpenStorage,
  ReadOptions,
  WriteOptions,
} from '../../core/storage.js';
import type { Change } from './bus-message.js';

/**
 * The far tier, telling the other nodes of every change that it has carried out. It sits below the journal, so that an
 * eviction replayed after an outage is announced when it takes effect, and not only when it was asked for.
 */
export class AnnouncingStorage implements OpenStorage {
  readonly type: string;
  readonly holds: 'values' | 'bytes';
  readonly keepsDeadlines: boolean;
  readonly leases?: Leases;

  constructor(
    readonly inner: OpenStorage,
    readonly announce: (change: Change) => void,
  ) {
    this.type = inner.type;
    this.holds = inner.holds;
    this.keepsDeadlines = inner.keepsDeadlines === true;
    if (inner.leases) this.leases = this.#announcing(inner.leases);
  }

  read(at: EntryAddress, options?: ReadOptions): Awaitable<StoredEntry | undefined> {
    return this.inner.read(at, options);
  }

  readMany(
    at: readonly EntryAddress[],
    options?: ReadOptions,
  ): Awaitable<(StoredEntry | undefined)[]> {
    return this.inner.readMany(at, options);
  }

  write(at: EntryAddress, entry: NewEntry, options?: WriteOptions): Promise<boolean> {
    return this.#keys([at], this.inner.write(at, entry, options));
  }

  writeMany(
    items: readonly (readonly [EntryAddress, NewEntry])[],
    options?: WriteOptions,
  ): Promise<void> {
    return this.#keys(
      items.map(([at]) => at),
      this.inner.writeMany(items, options),
    );
  }

  remove(at: EntryAddress): Promise<boolean> {
    return this.#keys([at], this.inner.remove(at));
  }

  removeMany(at: readonly EntryAddress[]): Promise<number> {
    return this.#keys(at, this.inner.removeMany(at));
  }

  touch(at: EntryAddress, ttlMs: number): Promise<boolean> {
    return this.#keys([at], this.inner.touch(at, ttlMs));
  }

  change(at: EntryAddress, change: EntryChange): Promise<ChangeResult> {
    return this.#keys([at], this.inner.change(at, change));
  }

  increment(at: EntryAddress, by: number, ttlMs: number): Promise<number> {
    return this.#keys([at], this.inner.increment(at, by, ttlMs));
  }

  evictScope(scope: ScopePath): Promise<number> {
    return this.#after({ kind: 'scope', scope }, this.inner.evictScope(scope));
  }

  evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    return this.#after({ kind: 'tags', scope, tags }, this.inner.evictTags(scope, tags));
  }

  expire(scope: ScopePath, tags: readonly string[] | undefined): Promise<number> {
    const change: Change = tags ? { kind: 'tags', scope, tags } : { kind: 'scope', scope };
    return this.#after(change, this.inner.expire(scope, tags));
  }

  clear(): Promise<void> {
    return this.#after<void>({ kind: 'scope', scope: GLOBAL_SCOPE }, this.inner.clear());
  }

  list(scope: ScopePath, options: ListOptions): AsyncIterable<ListedEntry> {
    return this.inner.list(scope, options);
  }

  count(scope: ScopePath): Awaitable<number> {
    return this.inner.count(scope);
  }

  removeExpired(): Awaitable<number> {
    return this.inner.removeExpired();
  }

  removeIdle(scope: ScopePath, idleMs: number): Promise<number> {
    return this.#after({ kind: 'scope', scope }, this.inner.removeIdle(scope, idleMs));
  }

  figures(): Readonly<Record<string, number>> {
    return this.inner.figures?.() ?? {};
  }

  async ready(): Promise<void> {
    await this.inner.ready?.();
  }

  async close(): Promise<void> {
    await this.inner.close();
  }

  #announcing(leases: Leases): Leases {
    return {
      acquire: (at, leaseMs, refresh) => leases.acquire(at, leaseMs, refresh),
      store: (lease, entry, options) => this.#keys([lease.at], leases.store(lease, entry, options)),
      release: (lease) => leases.release(lease),
      renew: (lease, leaseMs) => leases.renew(lease, leaseMs),
    };
  }

  #keys<T>(at: readonly EntryAddress[], done: Awaitable<T>): Promise<T> {
    return this.#after({ kind: 'keys', at }, done);
  }

  /** A change that failed may have happened all the same, so it is announced either way. */
  async #after<T>(change: Change, done: Awaitable<T>): Promise<T> {
    try {
      return await done;
    } finally {
      this.announce(change);
    }
  }
}
