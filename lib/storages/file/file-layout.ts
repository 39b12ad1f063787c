import { basename, dirname, join, resolve, sep } from 'node:path';
import type { ScopePath } from '../../core/scope.js';
import type { EntryAddress } from '../../core/storage.js';

/** Scope folders remembered, so that a busy scope costs no digests. */
const FOLDERS_MAX = 1_024;
const ENTRY_NAME = /^[0-9a-f]{40}$/;
const LEASE_NAME = /^[0-9a-f]{40}\.lease$/;
const FOLDER_NAME = /^s[0-9a-f]{39}$/;
const PART_NAME = /^p[0-9a-f]$/;
const TEMP_NAME = /^([0-9a-z-]+)\.[0-9]+\.tmp$/;

/** Where one entry lives. */
export interface Place {
  readonly folder: string;
  readonly path: string;
  readonly lease: string;
  /** Name of the key's slot: the same in every process, different for every key. */
  readonly slot: string;
}

/**
 * The only home of paths. Names are digests, never a caller's text, so they are of fixed length, safe on file systems that
 * fold case, and cannot leave the folder.
 *
 *     <directory>/<namespace>/entries/              the global scope
 *                             entries/p0 … pf/      its entries, in 16 parts
 *                             entries/s<scope>/s<scope>/…  deeper scopes, each inside its parent
 *                             …/<key>               an entry
 *                             …/<key>.lease         the lease on a key
 *                             …/<owner>.<n>.tmp     being written
 *                             slots/                one link for each key being written
 *                             owners/               one file for each process
 *                             trash/                evicted scopes, until they are reclaimed
 *                             corrupt/              files that could not be read, 16 at most
 *
 * A scope's folder is its epoch: evicting a scope renames the folder away, which takes the whole subtree, at once and for
 * every process, however large it is.
 *
 * The system lets one at a time change a folder. Scopes spread their entries by themselves; the global one needs parts.
 */
export class FileLayout {
  readonly root: string;
  readonly base: string;
  readonly entries: string;
  readonly slots: string;
  readonly owners: string;
  readonly trash: string;
  readonly corrupt: string;
  readonly #folders = new Map<string, string>();

  constructor(
    directory: string,
    namespace: string,
    readonly digest: (text: string) => string,
  ) {
    // `resolve` also takes a trailing slash away, with which lstat would look through a link.
    this.root = resolve(directory);
    this.base = join(this.root, this.#name(`namespace ${namespace}`, 40));
    this.entries = join(this.base, 'entries');
    this.slots = join(this.base, 'slots');
    this.owners = join(this.base, 'owners');
    this.trash = join(this.base, 'trash');
    this.corrupt = join(this.base, 'corrupt');
  }

  /** The folder of a scope. */
  folderOf(scope: ScopePath): string {
    const { id } = scope;
    if (id === '') return this.entries;
    const known = this.#folders.get(id);
    if (known !== undefined) return known;
    const folder = join(this.folderOf(scope.parent!), `s${this.#name(`scope ${id}`, 39)}`);
    if (this.#folders.size >= FOLDERS_MAX) this.#folders.delete(this.#folders.keys().next().value!);
    this.#folders.set(id, folder);
    return folder;
  }

  placeOf(at: EntryAddress): Place {
    const folder = this.folderOf(at.scope);
    const name = this.#name(`key ${at.key}`, 40);
    return this.placeIn(at.scope.id === '' ? `${folder}${sep}p${name[0]!}` : folder, name);
  }

  /** The place of a file that a walk came across. */
  placeIn(folder: string, name: string): Place {
    const path = folder + sep + name;
    // The last folder's name stands for the whole path: it is a digest of the scope's whole id, or a part of the global one.
    const slot = `${basename(folder)}-${name}`;
    return { folder, path, lease: `${path}.lease`, slot };
  }

  /** The place of an entry's file, by its path. */
  placeAt(path: string): Place {
    return this.placeIn(dirname(path), basename(path));
  }

  /** The folders between `entries` and this one, widest first, itself included. */
  chainOf(folder: string): string[] {
    const chain = [this.entries];
    for (
      let at = folder.indexOf(sep, this.entries.length + 1);
      at !== -1;
      at = folder.indexOf(sep, at + 1)
    )
      chain.push(folder.slice(0, at));
    if (folder !== this.entries) chain.push(folder);
    return chain;
  }

  /** JSON escapes lone surrogates, which UTF-8 would make one and the same. */
  #name(text: string, length: number): string {
    return this.digest(JSON.stringify(text)).slice(0, length);
  }
}

export const isEntryName = (name: string): boolean => ENTRY_NAME.test(name);
export const isLeaseName = (name: string): boolean => LEASE_NAME.test(name);
export const isScopeFolderName = (name: string): boolean => FOLDER_NAME.test(name);
/** Whether it is a part of the scope whose folder it lies in. */
export const isPartName = (name: string): boolean => PART_NAME.test(name);
/** Whose temporary file this is. */
export const ownerOfTemp = (name: string): string | undefined => TEMP_NAME.exec(name)?.[1];
