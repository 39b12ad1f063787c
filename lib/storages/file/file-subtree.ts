import type { RemovalReason } from '../../core/entry.js';
import type { ScopePath } from '../../core/scope.js';
import type { EntryAddress, ListedEntry, ListOptions, StorageHost } from '../../core/storage.js';
import { toStored, type FileEntry } from './entry-file.js';
import type { EntryFiles } from './entry-files.js';
import { isEntryName, isLeaseName, type FileLayout } from './file-layout.js';
import type { FoundFiles } from './found-files.js';
import { voidLease } from './lease-file.js';
import type { Usage } from './usage.js';
import { forEach, type Found } from './walk.js';

/** Files looked at side by side. More than libuv's four threads only makes others wait. */
const WIDTH = 4;
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
    readonly usage: Usage,
  ) {}

  async evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    const wanted = new Set(tags);
    const isTagged = (file: FileEntry): boolean =>
      file.envelope.tags.some((tag) => wanted.has(tag));
    await this.#voidLeases(scope, tags);
    return this.#removeWhere(scope, isTagged, 'tag', (file) => !isTagged(file));
  }

  async expire(scope: ScopePath, tags: readonly string[] | undefined): Promise<number> {
    const wanted = tags && new Set(tags);
    const isMeant = (file: FileEntry): boolean =>
      this.#isFresh(file) && (!wanted || file.envelope.tags.some((tag) => wanted.has(tag)));
    await this.#voidLeases(scope, tags);
    let expired = 0;
    const expireFound = async ({ at, file }: FoundEntry): Promise<void> => {
      if (isMeant(file) && (await this.#expireOne(at, isMeant))) expired++;
    };
    await this.#forEachEntry(scope, expireFound, async ({ folder, name }) => {
      if (await this.found.removeUnless(folder, name, (file) => !isMeant(file))) expired++;
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

  /** @param isKept of what cannot be made out, what may stay; without it, all of that stays */
  async #removeWhere(
    scope: ScopePath,
    condition: (file: FileEntry, path: string) => boolean,
    reason: RemovalReason,
    isKept?: (file: FileEntry) => boolean,
  ): Promise<number> {
    let live = 0;
    const noteRemoved = (removed: FileEntry | undefined, path: string, at?: EntryAddress): void => {
      if (!removed) return;
      this.usage.removed(path);
      const wasLive = this.#isFresh(removed);
      if (wasLive) live++;
      this.host.listener.onRemoval?.(wasLive ? reason : 'expired', 1, at?.key, at?.scope);
    };
    const removeFound = async ({ at, file }: FoundEntry): Promise<void> => {
      const place = this.layout.placeOf(at);
      const { path } = place;
      if (condition(file, path))
        noteRemoved(await this.files.removeIf(at, place, (now) => condition(now, path)), path, at);
    };
    const removeOther = async ({ folder, name }: Found): Promise<void> => {
      const { path } = this.layout.placeIn(folder, name);
      if (isKept) noteRemoved(await this.found.removeUnless(folder, name, isKept), path);
    };
    await this.#forEachEntry(scope, removeFound, removeOther);
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

  /** @param other what to do with files that cannot be made out */
  async #forEachEntry(
    scope: ScopePath,
    work: (found: FoundEntry) => Promise<void>,
    other?: (found: Found) => Promise<void>,
  ): Promise<void> {
    await forEach(this.#entriesIn(this.layout.folderOf(scope)), WIDTH, async (found) => {
      const entry = await this.found.read(found.folder, found.name);
      await (entry ? work(entry) : other?.(found));
    });
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
