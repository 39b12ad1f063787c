import {
  CacheError,
  describe,
  InvalidOptionsError,
  StorageUnavailableError,
} from '../../core/errors.js';
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
import { isSameValue, timesFrom, toStored, type FileEntry } from './entry-file.js';
import type { Place } from './file-layout.js';
import type { FileParts } from './file-parts.js';
import { Turns } from './turns.js';

/** How often a change is tried when other writers keep being faster. */
const CHANGE_ROUNDS_MAX = 1_000;
/** Files read or written side by side for one call. */
const WIDTH = 8;

/** The file storage of one cache. */
export class FileStore implements OpenStorage {
  readonly type = 'file';
  readonly holds = 'bytes';
  readonly leases: Leases;
  readonly #turns = new Turns();
  #isClosed = false;

  constructor(
    readonly host: StorageHost,
    readonly parts: FileParts,
  ) {
    this.leases = parts.leases;
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
    const { files, layout } = this.parts;
    const bytes = files.encode(at, entry);
    const place = layout.placeOf(at);
    // `false` is a scope evicted in the same moment, right after this write: for the caller it was written.
    if (await files.publish(place, bytes)) await this.parts.noteWritten(place, bytes);
    return true;
  }

  async writeMany(items: readonly (readonly [EntryAddress, NewEntry])[]): Promise<void> {
    await inOrder(items, ([at, entry]) => this.write(at, entry));
  }

  async remove(at: EntryAddress): Promise<boolean> {
    this.#checkOpen();
    const { files, layout, usage } = this.parts;
    const place = layout.placeOf(at);
    const file = await files.alone(place, async () => {
      const there = await files.readAlone(at, place);
      await files.removeAlone(place);
      return there;
    });
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

  /** Without the key while the caller's function runs, which may take its time and may use the same key itself. */
  async change(at: EntryAddress, change: Change): Promise<ChangeResult> {
    this.#checkOpen();
    const place = this.parts.layout.placeOf(at);
    const first = await this.#tryChange(at, place, change);
    if (first) return first;
    for (let round = 1; round < CHANGE_ROUNDS_MAX; round++) {
      const result = await this.#turns.take(place.slot, () => this.#tryChange(at, place, change));
      if (result) return result;
    }
    throw new StorageUnavailableError(
      `fileStorage: changing ${at.key} in scope ${at.scope} was given up after ${CHANGE_ROUNDS_MAX} attempts; other writers were faster each time.`,
    );
  }

  async increment(at: EntryAddress, by: number, ttlMs: number): Promise<number> {
    this.#checkOpen();
    const { files, layout } = this.parts;
    const place = layout.placeOf(at);
    return files.alone(place, async () => {
      for (;;) {
        const file = this.#liveOnly(await files.readAlone(at, place));
        const current = file && toStored(this.host, file);
        const value = sum(at, current ? current.value : 0, by);
        const { sliding, tags } = current ?? { sliding: false, tags: [] };
        if (await this.#put(at, place, { value, ttlMs, graceMs: 0, sliding, tags }, file))
          return value;
      }
    });
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

  /** `undefined`: somebody else was faster. */
  async #tryChange(
    at: EntryAddress,
    place: Place,
    change: Change,
  ): Promise<ChangeResult | undefined> {
    const { files } = this.parts;
    const seen = this.#liveOnly(await files.read(at, place));
    const result = await change(seen && toStored(this.host, seen));
    if (!('write' in result)) return result;
    const isDone = await files.alone(place, async () => {
      const there = this.#liveOnly(await files.readAlone(at, place));
      return (
        isSameValue(seen, there) &&
        (await this.#put(at, place, result.write, result.ttl === 'remaining' ? there : undefined))
      );
    });
    return isDone ? result : undefined;
  }

  async #put(
    at: EntryAddress,
    place: Place,
    entry: NewEntry,
    endsWith: FileEntry | undefined,
  ): Promise<boolean> {
    const times = endsWith ? endsWith.envelope : timesFrom(this.host.clock.now(), entry);
    const bytes = this.parts.files.encode(at, entry, {
      storedAt: times.storedAt,
      ttlMs: times.ttlMs,
      graceMs: times.graceMs,
    });
    if (!(await this.parts.files.publishAlone(place, bytes))) return false;
    this.parts.noteWrittenAlone(place, bytes);
    return true;
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

  #liveOnly(file: FileEntry | undefined): FileEntry | undefined {
    return file && this.#isLive(file) ? file : undefined;
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

/** @throws InvalidOptionsError for what cannot be counted with */
function sum(at: EntryAddress, value: unknown, by: number): number {
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new InvalidOptionsError(
      `increment: ${at.key} in scope ${at.scope} holds ${describe(value)}, not a finite number.`,
    );
  return value + by;
}

/** The results in the order of `items`, a few at a time. */
async function inOrder<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at]!);
  };
  await Promise.all(Array.from({ length: Math.min(WIDTH, items.length) }, lane));
  return results;
}
