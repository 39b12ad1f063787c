import type { NewEntry, StoredEntry } from '../../core/entry.js';
import { describe, InvalidOptionsError } from '../../core/errors.js';
import { checkKnown } from '../../core/known-options.js';
import type { ScopePath } from '../../core/scope.js';
import type {
  Awaitable,
  Change,
  ChangeResult,
  EntryAddress,
  Leases,
  ListedEntry,
  ListOptions,
  OpenStorage,
  ReadOptions,
  SnapshotControl,
  StorageDriver,
  StorageHost,
  WriteOptions,
} from '../../core/storage.js';
import { Snapshots, type SnapshotsOptions } from './snapshots.js';

/** For `withSnapshots`. */
export interface SnapshotStorageOptions extends SnapshotsOptions {
  /** Bring the entries of the newest good snapshot back when the application starts. Default `true`. */
  readonly restore?: boolean;
  /** Write one last snapshot when the application shuts down. Default `true`. */
  readonly onShutdown?: boolean;
}

/**
 * A storage, usually `memoryStorage()`, whose entries survive a restart: dumped to a file now and then and at shutdown,
 * brought back at start with what is left of their lives. Give each named cache a file of its own.
 * @throws InvalidOptionsError for a wrong option, or a second cache that would write the same file, at the latest when the
 * cache is made
 */
export function withSnapshots(
  storage: StorageDriver,
  options: SnapshotStorageOptions,
): StorageDriver {
  if (typeof (storage as Partial<StorageDriver> | undefined)?.open !== 'function')
    throw new InvalidOptionsError(
      `withSnapshots: expected a storage such as memoryStorage() first, got ${describe(storage)}.`,
    );
  checkKnown('withSnapshots', options, KNOWN);
  for (const flag of ['restore', 'onShutdown'] as const)
    if (options[flag] !== undefined && typeof options[flag] !== 'boolean')
      throw new InvalidOptionsError(
        `withSnapshots: ${flag}: expected true or false, got ${describe(options[flag])}.`,
      );
  const owners: string[] = [];
  return {
    name: storage.name,
    open(host) {
      const { namespace } = host;
      refuseOther(owners, namespace, options.file);
      const opened = new SnapshotStorage(storage.open(host), host, options, () =>
        owners.splice(owners.indexOf(namespace), 1),
      );
      owners.push(namespace);
      return opened;
    },
  };
}

/** Named caches take over the options of the main one. Each would restore and overwrite the other's entries. */
function refuseOther(owners: readonly string[], namespace: string, file: string): void {
  const other = owners.find((owner) => owner !== namespace);
  if (other === undefined) return;
  throw new InvalidOptionsError(
    `withSnapshots: the caches with the namespaces "${other}" and "${namespace}" would both write ${file}. Give the second one a storage of its own: forFeature({ name: …, storage: memoryStorage() }), or withSnapshots with another file.`,
  );
}

const KNOWN = ['file', 'backups', 'every', 'encryption', 'restore', 'onShutdown'];

/** Passes everything on; adds what happens at the start, at the end and in between. */
class SnapshotStorage implements OpenStorage {
  readonly type: string;
  readonly holds: 'values' | 'bytes';
  readonly isLocal: boolean;
  readonly snapshots: SnapshotControl;
  readonly leases?: Leases;
  readonly #snapshots: Snapshots;
  #isClosed = false;

  constructor(
    readonly inner: OpenStorage,
    host: StorageHost,
    readonly options: SnapshotStorageOptions,
    readonly onClosed: () => void,
  ) {
    this.type = inner.type;
    this.holds = inner.holds;
    this.isLocal = inner.isLocal === true;
    if (inner.leases) this.leases = inner.leases;
    this.#snapshots = this.snapshots = new Snapshots(inner, host, options);
  }

  /** A restore that fails is reported, and the application starts with an empty cache. */
  async ready(): Promise<void> {
    await this.inner.ready?.();
    if (this.options.restore ?? true) await this.#snapshots.restore();
    this.#snapshots.startAutoDump();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      await this.#snapshots.close(this.options.onShutdown ?? true);
      await this.inner.close();
    } finally {
      this.onClosed();
    }
  }

  figures(): Readonly<Record<string, number>> {
    return { ...this.inner.figures?.(), ...this.#snapshots.figures() };
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

  write(at: EntryAddress, entry: NewEntry, options?: WriteOptions): Awaitable<boolean> {
    return this.inner.write(at, entry, options);
  }

  writeMany(
    items: readonly (readonly [EntryAddress, NewEntry])[],
    options?: WriteOptions,
  ): Awaitable<void> {
    return this.inner.writeMany(items, options);
  }

  remove(at: EntryAddress): Awaitable<boolean> {
    return this.inner.remove(at);
  }

  removeMany(at: readonly EntryAddress[]): Awaitable<number> {
    return this.inner.removeMany(at);
  }

  touch(at: EntryAddress, ttlMs: number): Awaitable<boolean> {
    return this.inner.touch(at, ttlMs);
  }

  change(at: EntryAddress, change: Change): Awaitable<ChangeResult> {
    return this.inner.change(at, change);
  }

  increment(at: EntryAddress, by: number, ttlMs: number): Awaitable<number> {
    return this.inner.increment(at, by, ttlMs);
  }

  evictScope(scope: ScopePath): Awaitable<number> {
    return this.inner.evictScope(scope);
  }

  evictTags(scope: ScopePath, tags: readonly string[]): Awaitable<number> {
    return this.inner.evictTags(scope, tags);
  }

  expire(scope: ScopePath, tags: readonly string[] | undefined): Awaitable<number> {
    return this.inner.expire(scope, tags);
  }

  clear(): Awaitable<void> {
    return this.inner.clear();
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

  removeIdle(scope: ScopePath, idleMs: number): Awaitable<number> {
    return this.inner.removeIdle(scope, idleMs);
  }
}
