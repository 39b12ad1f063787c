import type { RemovalReason } from '../../core/entry.js';
import type { ScopePath } from '../../core/scope.js';
import type { StorageHost } from '../../core/storage.js';
import { hasCode, isThere, rename } from './disk.js';
import { isEntryName, type FileLayout } from './file-layout.js';
import type { FoundFiles } from './found-files.js';
import type { Trash } from './trash.js';
import type { Usage } from './usage.js';
import { atMost, forEach, type Found } from './walk.js';

/** Files looked at side by side. More than libuv's four threads only makes others wait. */
const WIDTH = 4;
/** Files looked at to say how many entries an eviction removed: a second or two. */
export const COUNTED_MAX = 50_000;
/** Somebody may be removing folders as fast as they are made. */
const ROUNDS_MAX = 16;

/** Evictions of whole scopes: their folder is moved away. */
export class ScopeEvictions {
  constructor(
    readonly host: StorageHost,
    readonly layout: FileLayout,
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
        if (entry && this.host.clock.now() < entry.file.freshUntil) live++;
      });
    } catch (error) {
      this.host.listener.onFault?.({ during: 'evictScope', storage: 'file', error, scope });
      return -1;
    }
    return seen > COUNTED_MAX ? -1 : live;
  }

  async *#entriesIn(folder: string): AsyncGenerator<Found> {
    for await (const found of this.trash.folders.filesIn(folder, true))
      if (isEntryName(found.name)) yield found;
  }
}
