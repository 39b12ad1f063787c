import { hasCode, lstat, makeFolderIfMissing, syncFolder } from './disk.js';
import { createOpen, createWhole, type NewFile } from './file-content.js';
import type { FileLayout } from './file-layout.js';
import type { Quarantine } from './quarantine.js';
import type { Restore } from './safe-folder.js';
import { filesIn, foldersIn, type Found } from './walk.js';

/** Folders remembered as made and checked. */
const KNOWN_MAX = 4_096;
/** A folder that is evicted between making it and using it is made again, this often. */
const ROUNDS_MAX = 16;

/** A temporary file that is still open. */
export interface OpenTemp {
  readonly path: string;
  readonly fd: number;
}

/** Scope folders: made when first written to, and never through a link. Also the home of temporary files. */
export class Folders {
  readonly #known = new Set<string>();
  #counter = 0;

  constructor(
    readonly layout: FileLayout,
    readonly quarantine: Quarantine,
    readonly like: NewFile,
    readonly folderMode: number,
    readonly setsFolderMode: boolean,
    readonly ownerId: string,
    readonly restore: Restore,
  ) {}

  /** Writes `bytes` to a new temporary file inside `folder`; resolves to its path. */
  async createTemp(folder: string, bytes: Uint8Array): Promise<string> {
    const { path } = await this.#create(folder, (name) => createWhole(name, bytes, this.like));
    return path;
  }

  /** {@link Folders.createTemp}, leaving the file open. `content` may be called more than once. */
  async openTemp(folder: string, content: () => Uint8Array): Promise<OpenTemp> {
    const { path, made } = await this.#create(folder, (name) =>
      createOpen(name, content, this.like),
    );
    return { path, fd: made };
  }

  /** See {@link filesIn}. */
  filesIn(folder: string, deep: boolean): AsyncGenerator<Found> {
    return filesIn(folder, deep, this.like.isLocal);
  }

  /** See {@link foldersIn}. */
  foldersIn(folder: string): AsyncGenerator<string> {
    return foldersIn(folder, this.like.isLocal);
  }

  /** Makes names in the folder last, where entries are to survive a loss of power. */
  async sync(folder: string): Promise<void> {
    if (!this.like.durable) return;
    try {
      await syncFolder(folder);
    } catch (error) {
      // Evicted meanwhile: nothing in it has to last.
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }

  async #create<T>(
    folder: string,
    make: (path: string) => Promise<T>,
  ): Promise<{ path: string; made: T }> {
    for (let round = 0; ; round++) {
      if (!this.#known.has(folder)) await this.#make(folder);
      const path = `${folder}/${this.ownerId}.${this.#counter++}.tmp`;
      try {
        return { path, made: await make(path) };
      } catch (error) {
        if (!hasCode(error, 'ENOENT', 'EEXIST') || round >= ROUNDS_MAX) throw error;
        this.#known.clear();
        this.restore();
      }
    }
  }

  async #make(folder: string): Promise<void> {
    for (const step of this.layout.chainOf(folder)) {
      try {
        const isNew = await makeFolderIfMissing(step, this.folderMode, this.setsFolderMode);
        if (!isNew && !(await lstat(step)).isDirectory()) await this.#replace(step);
      } catch (error) {
        // Evicted from above in between; creating the temporary file will fail and come back here.
        if (!hasCode(error, 'ENOENT')) throw error;
        return;
      }
    }
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    this.#known.add(folder);
  }

  async #replace(step: string): Promise<void> {
    await this.quarantine.setAside(
      step,
      'it is in the place of a folder but is none (a link is never followed)',
    );
    await makeFolderIfMissing(step, this.folderMode, this.setsFolderMode);
  }
}
