import type { RemovalReason } from '../../core/entry.js';
import type { ScopePath } from '../../core/scope.js';
import type { EntryAddress, ListedEntry, ListOptions, StorageHost } from '../../core/storage.js';
import { hasCode, isThere, rename } from './disk.js';
import { toStored, type FileEntry } from './entry-file.js';
import type { EntryFiles } from './entry-files.js';
import { isEntryName, isLeaseName, type FileLayout } from './file-layout.js';
import type { FoundFiles } from './found-files.js';
import { voidLease } from './lease-file.js';
import type { Trash } from './trash.js';
import type { Usage } from './usage.js';
import { atMost, forEach, type Found } from './walk.js';

/** Files looked at side by side. More than libuv's four threads only makes others wait. */
const WIDTH = 4;
/** Files looked at to say how many entries an eviction removed: a second or two. */
export const COUNTED_MAX = 50_000;
/** Somebody may be removing folders as fast as they are made. */
const ROUNDS_MAX = 16;
const LEASE_SUFFIX = '.lease'.length;

interface FoundEntry {
  readonly at: EntryAddress;
  readonly file: FileEntry;
}

/** Operations on a scope with everything below it. */
export class FileSubtree {
  constructor(
    readonly host: StorageHost,
    readonly layout: FileLayout,
    readonly files: EntryFiles,
    readonly found: FoundFiles,
    readonly trash: Trash,
    readonly usage: Usage,
  ) {}

  /**
   * At once, whatever the size: the folder is renamed away. Only then are its entries counted, as far as a caller should
   * have to wait for that; -1 when there are more, or when they cannot be read.
   */
  async evict(scope: ScopePath, reason: RemovalReason): Promise<number> {
    const moved = await this.#moveAway(this.layout.folderOf(scope));
    if (moved === undefined) return 0;
    const live = await this.#countMoved(scope, moved);
    this.trash.reclaimLater(moved);
    if (live > 0) this.host.listener.onRemoval?.(reason, live, undefined, scope);
    return live;
  }

  /** As `evict`, without the count. */
  async clear(scope: ScopePath): Promise<void> {
    const moved = await this.#moveAway(this.layout.folderOf(scope));
    if (moved !== undefined) this.trash.reclaimLater(moved);
  }

  async evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    const wanted = new Set(tags);
    const isTagged = (file: FileEntry): boolean =>
      file.envelope.tags.some((tag) => wanted.has(tag));
    await this.#voidLeases(scope, tags);
    return this.#removeWhere(scope, isTagged, 'tag');
  }

  async expire(scope: ScopePath, tags: readonly string[] | undefined): Promise<number> {
    const wanted = tags && new Set(tags);
    const isMeant = (file: FileEntry): boolean =>
      this.#isFresh(file) && (!wanted || file.envelope.tags.some((tag) => wanted.has(tag)));
    await this.#voidLeases(scope, tags);
    let expired = 0;
    await this.#forEachEntry(scope, async ({ at, file }) => {
      if (isMeant(file) && (await this.#expireOne(at, isMeant))) expired++;
    });
    return expired;
  }

  removeIdle(scope: ScopePath, idleMs: number): Promise<number> {
    return this.#removeWhere(
      scope,
      (file, path) => this.#usedAt(file, path) < this.host.clock.now() - idleMs,
      'idle',
    );
  }

  async count(scope: ScopePath): Promise<number> {
    let live = 0;
    await this.#forEachEntry(scope, async ({ file }) => {
      if (this.#isFresh(file)) live++;
    });
    return live;
  }

  async *list(scope: ScopePath, options: ListOptions): AsyncGenerator<ListedEntry> {
    for await (const { folder, name } of this.files.folders.filesIn(
      this.layout.folderOf(scope),
      options.deep,
    )) {
      const found = isEntryName(name) ? await this.found.read(folder, name) : undefined;
      if (!found || !this.#isFresh(found.file)) continue;
      const entry = options.keysOnly
        ? toStored(this.host, found.file, false)
        : this.files.stored(found.at, found.file);
      if (entry) yield { address: found.at, entry };
    }
  }

  async #moveAway(folder: string): Promise<string | undefined> {
    const moved = this.trash.nextPath();
    for (let round = 1; ; round++) {
      try {
        await rename(folder, moved);
        break;
      } catch (error) {
        if (!hasCode(error, 'ENOENT') || round === ROUNDS_MAX) throw error;
        this.trash.folders.restore();
        // Else there was nowhere to put it, whoever has made that again.
        if (!isThere(folder)) return undefined;
      }
    }
    this.usage.removedUnder(folder);
    try {
      await this.trash.sync();
    } catch (error) {
      this.trash.reclaimLater(moved);
      throw error;
    }
    return moved;
  }

  /** Never rejects: the eviction has happened, and carrying it out once more would remove what was written since. */
  async #countMoved(scope: ScopePath, moved: string): Promise<number> {
    let live = 0;
    let seen = 0;
    try {
      await forEach(atMost(COUNTED_MAX + 1, this.#entriesIn(moved)), WIDTH, async (found) => {
        if (++seen > COUNTED_MAX) return;
        const entry = await this.found.read(found.folder, found.name, true);
        if (entry && this.#isFresh(entry.file)) live++;
      });
    } catch (error) {
      this.host.listener.onFault?.({ during: 'evictScope', storage: 'file', error, scope });
      return -1;
    }
    return seen > COUNTED_MAX ? -1 : live;
  }

  /**
   * Before the entries are looked at: a load that ends in between either finds its lease marked, or has stored its result
   * by then, where the walk over the entries, which begins later, meets it.
   */
  async #voidLeases(scope: ScopePath, tags: readonly string[] | undefined): Promise<void> {
    await forEach(this.files.folders.foldersIn(this.layout.folderOf(scope)), 1, async (folder) => {
      await forEach(this.files.folders.filesIn(folder, false), WIDTH, async ({ name }) => {
        if (!isLeaseName(name)) return;
        const place = this.layout.placeIn(folder, name.slice(0, -LEASE_SUFFIX));
        await this.files.alone(place, () => voidLease(this.files.folders, place, tags));
      });
    });
  }

  async #removeWhere(
    scope: ScopePath,
    condition: (file: FileEntry, path: string) => boolean,
    reason: RemovalReason,
  ): Promise<number> {
    let live = 0;
    await this.#forEachEntry(scope, async ({ at, file }) => {
      const place = this.layout.placeOf(at);
      if (!condition(file, place.path)) return;
      const removed = await this.files.removeIf(at, place, (now) => condition(now, place.path));
      if (!removed) return;
      this.usage.removed(place.path);
      const wasLive = this.#isFresh(removed);
      if (wasLive) live++;
      this.host.listener.onRemoval?.(wasLive ? reason : 'expired', 1, at.key, at.scope);
    });
    return live;
  }

  #expireOne(at: EntryAddress, isMeant: (file: FileEntry) => boolean): Promise<boolean> {
    const place = this.layout.placeOf(at);
    return this.files.alone(place, async () => {
      const file = await this.files.readAlone(at, place);
      if (!file || !isMeant(file)) return false;
      const { storedAt, graceMs } = file.envelope;
      if (graceMs === 0) await this.files.removeAlone(place);
      else
        await this.files.renewAlone(place, file, {
          storedAt,
          ttlMs: Math.max(0, this.host.clock.now() - storedAt),
          graceMs,
        });
      return true;
    });
  }

  async #forEachEntry(scope: ScopePath, work: (found: FoundEntry) => Promise<void>): Promise<void> {
    await forEach(
      this.files.folders.filesIn(this.layout.folderOf(scope), true),
      WIDTH,
      async ({ folder, name }) => {
        const found = isEntryName(name) ? await this.found.read(folder, name) : undefined;
        if (found) await work(found);
      },
    );
  }

  #isFresh(file: FileEntry): boolean {
    return this.host.clock.now() < file.freshUntil;
  }

  #usedAt(file: FileEntry, path: string): number {
    const fileSays = Number.isFinite(file.usedAt) ? file.usedAt : 0;
    return Math.max(this.usage.usedAt(path) ?? 0, fileSays, file.envelope.storedAt);
  }

  async *#entriesIn(folder: string): AsyncGenerator<Found> {
    for await (const found of this.files.folders.filesIn(folder, true))
      if (isEntryName(found.name)) yield found;
  }
}
