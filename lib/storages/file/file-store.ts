import { CacheError, StorageUnavailableError } from '../../core/errors.js';
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
} from '../../core/storage.js';
import { AtomicChanges } from './atomic-changes.js';
import { toStored, type FileEntry } from './entry-file.js';
import type { Place } from './file-layout.js';
import type { FileParts } from './file-parts.js';
import { inOrder } from './in-order.js';

/** The file storage of one cache. */
export class FileStore implements OpenStorage {
  readonly type = 'file';
  readonly holds = 'bytes';
  readonly leases: Leases;
  readonly #changes: AtomicChanges;
  #isClosed = false;

  constructor(
    readonly host: StorageHost,
    readonly parts: FileParts,
  ) {
    this.leases = parts.leases;
    this.#changes = new AtomicChanges(host, parts);
  }

  async read(at: EntryAddress, options?: ReadOptions): Promise<StoredEntry | undefined> {
    const { files, layout } = this.parts;
    const place = layout.placeOf(at);
    const file = await files.read(at, place);
    const now = this.host.clock.now();
    if (!file || now >= file.staleUntil) return undefined;
    if (options?.peek === true) return this.#decoded(at, file);
    const renews = file.envelope.sliding && now < file.freshUntil && now !== file.envelope.storedAt;
    const current = renews ? await this.#slide(at, place, file, now) : file;
    this.#noteRead(at, place, file, now);
    return this.#decoded(at, current);
  }

  readMany(
    at: readonly EntryAddress[],
    options?: ReadOptions,
  ): Promise<(StoredEntry | undefined)[]> {
    return inOrder(at, (one) => this.read(one, options));
  }

  async write(at: EntryAddress, entry: NewEntry): Promise<boolean> {
    this.#checkOpen();
    const { files, layout, slotless } = this.parts;
    const bytes = files.encode(at, entry);
    const place = layout.placeOf(at);
    // `false` is a scope evicted in the same moment, right after this write: for the caller it was written.
    if (await slotless.put(place, bytes)) await this.parts.noteWritten(place, bytes);
    return true;
  }

  async writeMany(items: readonly (readonly [EntryAddress, NewEntry])[]): Promise<void> {
    await inOrder(items, ([at, entry]) => this.write(at, entry));
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
    return this.parts.subtree.evict(scope, 'scope');
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
    return this.parts.subtree.clear(GLOBAL_SCOPE);
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
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.parts.close();
  }

  /** The entry with its life renewed; as it was, when it was replaced or removed in between. */
  async #slide(at: EntryAddress, place: Place, file: FileEntry, now: number): Promise<FileEntry> {
    const { files } = this.parts;
    const { ttlMs, graceMs } = file.envelope;
    try {
      const isRenewed = await files.alone(place, () =>
        files.renewAlone(place, file, { storedAt: now, ttlMs, graceMs }),
      );
      return isRenewed
        ? { ...file, freshUntil: now + ttlMs, staleUntil: now + ttlMs + graceMs }
        : file;
    } catch (error) {
      // The value is here and good; that its life could not be renewed costs a later miss.
      this.#report('slide', error, at);
      return file;
    }
  }

  #noteRead(at: EntryAddress, place: Place, file: FileEntry, now: number): void {
    if (!this.parts.usage.read(place.path, file.bytes.length, now, file.usedAt) || this.#isClosed)
      return;
    this.parts.inBackground(
      this.parts.files.noteUse(place).catch((error: unknown) => this.#report('noteUse', error, at)),
    );
  }

  /** A value that cannot be read (a class whose codec is gone) is a miss, like any other damage. */
  #decoded(at: EntryAddress, file: FileEntry): StoredEntry | undefined {
    try {
      return toStored(this.host, file);
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      this.#report('read', error, at);
      return undefined;
    }
  }

  #isLive(file: FileEntry): boolean {
    return this.host.clock.now() < file.freshUntil;
  }

  #report(during: string, error: unknown, at: EntryAddress): void {
    this.host.listener.onFault?.({
      during,
      storage: this.type,
      error,
      key: at.key,
      scope: at.scope,
    });
  }

  #checkOpen(): void {
    if (this.#isClosed)
      throw new StorageUnavailableError(
        'fileStorage: this storage is closed; nothing is written any more.',
      );
  }
}
