import { StorageUnavailableError } from '../../core/errors.js';
import type { NewEntry, StoredEntry } from '../../core/entry.js';
import { GLOBAL_SCOPE, type ScopePath } from '../../core/scope.js';
import type {
  Change,
  ChangeResult,
  EntryAddress,
  Leases,
  ListedEntry,
  ListOptions,
  OpenStorage,
  ReadOptions,
  StorageHost,
  WriteOptions,
} from '../../core/storage.js';
import { AtomicChanges } from './atomic-changes.js';
import type { FileEntry } from './entry-file.js';
import type { FileParts } from './file-parts.js';
import { inOrder } from './in-order.js';
import { Reads } from './reads.js';

/** The file storage of one cache. */
export class FileStore implements OpenStorage {
  readonly type = 'file';
  readonly holds = 'bytes';
  readonly leases: Leases;
  readonly #changes: AtomicChanges;
  readonly #reads: Reads;

  constructor(
    readonly host: StorageHost,
    readonly parts: FileParts,
  ) {
    this.leases = parts.leases;
    this.#changes = new AtomicChanges(host, parts);
    this.#reads = new Reads(host, parts);
  }

  read(at: EntryAddress, options?: ReadOptions): Promise<StoredEntry | undefined> {
    return this.#reads.read(at, options);
  }

  readMany(
    at: readonly EntryAddress[],
    options?: ReadOptions,
  ): Promise<(StoredEntry | undefined)[]> {
    return inOrder(at, (one) => this.read(one, options));
  }

  async write(at: EntryAddress, entry: NewEntry, options?: WriteOptions): Promise<boolean> {
    this.#checkOpen();
    const { files, layout, slotless } = this.parts;
    const place = layout.placeOf(at);
    let bytes: Uint8Array | undefined;
    const content = (): Uint8Array => (bytes ??= files.encode(at, entry));
    const isPut = await slotless.put(place, content, options?.stillValid);
    if (isPut) await this.parts.noteWritten(place, content());
    // Else its scope was evicted in the same moment, right after this write: for the caller it was written.
    return isPut || options?.stillValid?.() !== false;
  }

  async writeMany(
    items: readonly (readonly [EntryAddress, NewEntry])[],
    options?: WriteOptions,
  ): Promise<void> {
    await inOrder(items, ([at, entry]) => this.write(at, entry, options));
  }

  async remove(at: EntryAddress): Promise<boolean> {
    this.#checkOpen();
    const { slotless, layout, usage } = this.parts;
    const place = layout.placeOf(at);
    const file = await slotless.remove(at, place);
    usage.removed(place.path);
    const wasLive = file !== undefined && this.#isLive(file);
    if (file) this.host.listener.onRemoval?.(wasLive ? 'deleted' : 'expired', 1, at.key, at.scope);
    return wasLive;
  }

  async removeMany(at: readonly EntryAddress[]): Promise<number> {
    const removed = await inOrder(at, (one) => this.remove(one));
    return removed.filter(Boolean).length;
  }

  touch(at: EntryAddress, ttlMs: number): Promise<boolean> {
    this.#checkOpen();
    const { files, layout, usage } = this.parts;
    const place = layout.placeOf(at);
    return files.alone(place, async () => {
      const file = await files.readAlone(at, place);
      const now = this.host.clock.now();
      if (!file || !this.#isLive(file)) return false;
      usage.read(place.path, file.bytes.length, now, file.usedAt);
      return files.renewAlone(place, file, {
        storedAt: now,
        ttlMs,
        graceMs: file.envelope.graceMs,
      });
    });
  }

  change(at: EntryAddress, change: Change): Promise<ChangeResult> {
    this.#checkOpen();
    return this.#changes.change(at, change);
  }

  increment(at: EntryAddress, by: number, ttlMs: number): Promise<number> {
    this.#checkOpen();
    return this.#changes.increment(at, by, ttlMs);
  }

  evictScope(scope: ScopePath): Promise<number> {
    this.#checkOpen();
    return this.parts.evictions.evict(scope, 'scope');
  }

  evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    this.#checkOpen();
    return this.parts.subtree.evictTags(scope, tags);
  }

  expire(scope: ScopePath, tags: readonly string[] | undefined): Promise<number> {
    this.#checkOpen();
    return this.parts.subtree.expire(scope, tags);
  }

  clear(): Promise<void> {
    this.#checkOpen();
    return this.parts.evictions.clear(GLOBAL_SCOPE);
  }

  list(scope: ScopePath, options: ListOptions): AsyncIterable<ListedEntry> {
    return this.parts.subtree.list(scope, options);
  }

  count(scope: ScopePath): Promise<number> {
    return this.parts.subtree.count(scope);
  }

  removeExpired(): Promise<number> {
    this.#checkOpen();
    return this.parts.sweeper.removeExpired();
  }

  removeIdle(scope: ScopePath, idleMs: number): Promise<number> {
    this.#checkOpen();
    return this.parts.subtree.removeIdle(scope, idleMs);
  }

  figures(): Readonly<Record<string, number>> {
    const { quarantine, usage, gate } = this.parts;
    const known = usage.isLimited ? { entries: usage.entries, bytes: usage.bytes } : {};
    return { ...known, setAside: quarantine.count, keysInUse: gate.size };
  }

  async close(): Promise<void> {
    await this.parts.close();
  }

  #isLive(file: FileEntry): boolean {
    return this.host.clock.now() < file.freshUntil;
  }

  #checkOpen(): void {
    if (this.parts.isClosed)
      throw new StorageUnavailableError(
        'fileStorage: this storage is closed; nothing is written any more.',
      );
  }
}
