import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode, removeFolder, unlinkIfThere } from './disk.js';
import { isEntryName, isLeaseName, ownerOfTemp, type FileLayout } from './file-layout.js';
import type { Folders } from './folders.js';
import type { Owners } from './owners.js';

/** Evicted folders, and their removal in the background. */
export class Trash {
  #counter = 0;
  #reclaiming: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(
    readonly layout: FileLayout,
    readonly owners: Owners,
    readonly folders: Folders,
    readonly onFault: (during: string, error: unknown) => void,
  ) {}

  /** A name nobody used before; it says whose business the reclaiming is. */
  nextPath(): string {
    return join(this.layout.trash, `${this.owners.me.id}.${this.#counter++}`);
  }

  async sync(): Promise<void> {
    await this.folders.sync(this.layout.trash);
    await this.folders.sync(this.layout.base);
  }

  /** Removes what was evicted, when there is time: one folder after the other. */
  reclaimLater(path: string): void {
    this.#reclaiming = this.#reclaiming
      .then(() => this.#reclaim(path))
      .catch((error: unknown) => this.onFault('reclaim', error));
  }

  /** What dead processes evicted but could not reclaim. */
  async adoptOrphans(): Promise<void> {
    for (const name of await readdir(this.layout.trash)) {
      const [ownerId] = name.split('.');
      if (await this.owners.isGone(ownerId!)) this.reclaimLater(join(this.layout.trash, name));
    }
  }

  /** Resolves when nothing is being reclaimed. */
  whenIdle(): Promise<void> {
    return this.#reclaiming;
  }

  /** Stops; what is left is reclaimed by whoever comes next. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#reclaiming;
  }

  /** Only what is ours by name, and never through a link; a folder in which something else lies stays. */
  async #reclaim(path: string): Promise<void> {
    for await (const { folder, name } of this.folders.filesIn(path, true)) {
      if (this.#isClosed) return;
      if (isEntryName(name) || isLeaseName(name) || ownerOfTemp(name) !== undefined)
        await unlinkIfThere(join(folder, name));
    }
    const folders: string[] = [];
    for await (const folder of this.folders.foldersIn(path)) folders.push(folder);
    for (const folder of folders.reverse()) if (!this.#isClosed) await this.#removeEmpty(folder);
  }

  async #removeEmpty(folder: string): Promise<void> {
    try {
      await removeFolder(folder);
    } catch (error) {
      if (!hasCode(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST', 'ENOTDIR')) throw error;
    }
  }
}
