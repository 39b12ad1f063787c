import { Dirent, type Dir } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from './disk.js';
import { isPartName, isScopeFolderName } from './file-layout.js';

/** A plain file in a scope's folder. Links, pipes and folders that are not ours are never reported nor entered. */
export interface Found {
  readonly folder: string;
  readonly name: string;
}

/** Folder entries taken from the system at a time. */
const BATCH = 256;

/**
 * The plain files of a folder, and with `deep` of the scopes below it. Folders that vanish meanwhile are left out.
 * @param isLocal whether it lies on a disk of this machine
 */
export async function* filesIn(
  folder: string,
  deep: boolean,
  isLocal: boolean,
): AsyncGenerator<Found> {
  for await (const entry of entriesOf(folder, isLocal)) {
    if (entry.isFile()) yield { folder, name: entry.name };
    else if (isEntered(entry, deep)) yield* filesIn(join(folder, entry.name), deep, isLocal);
  }
}

/** The folders of a subtree, itself included. */
export async function* foldersIn(folder: string, isLocal: boolean): AsyncGenerator<string> {
  yield folder;
  for await (const entry of entriesOf(folder, isLocal))
    if (isEntered(entry, true)) yield* foldersIn(join(folder, entry.name), isLocal);
}

/** The first `count` of these. */
export async function* atMost<T>(count: number, items: AsyncIterable<T>): AsyncGenerator<T> {
  let left = count;
  for await (const item of items) {
    if (left-- <= 0) return;
    yield item;
  }
}

/** Runs `work` on each item, `width` at a time. The first failure ends it. */
export async function forEach<T>(
  items: AsyncIterable<T>,
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  let isOver = false;
  const lane = async (): Promise<void> => {
    while (!isOver) {
      const next = await iterator.next();
      if (next.done) return;
      await work(next.value);
    }
  };
  try {
    await Promise.all(Array.from({ length: width }, lane));
  } finally {
    isOver = true;
    await iterator.return?.();
  }
}

function isEntered(entry: Dirent, deep: boolean): boolean {
  return entry.isDirectory() && (isPartName(entry.name) || (deep && isScopeFolderName(entry.name)));
}

/**
 * Some file systems (NFS, FUSE, ext4 and xfs made without types) do not say what an entry is, so Node looks at each by itself,
 * and fails for one that has just gone, together with what came after it in the same batch. There one is taken at a time.
 */
async function* entriesOf(folder: string, isLocal: boolean): AsyncGenerator<Dirent> {
  const isDone = isLocal && (yield* inBatches(folder));
  if (!isDone) yield* oneByOne(folder);
}

/** Returns whether that was possible. */
async function* inBatches(folder: string): AsyncGenerator<Dirent, boolean> {
  const entries = await openIfThere(folder, BATCH);
  if (!entries) return true;
  try {
    const first = await firstOf(entries);
    if (first === 'untyped') return false;
    for (let entry = first; entry; entry = await entries.read()) yield entry;
    return true;
  } finally {
    await entries.close();
  }
}

async function* oneByOne(folder: string): AsyncGenerator<Dirent> {
  const entries = await openIfThere(folder, 1);
  if (!entries) return;
  try {
    for (let entry = await nextOf(entries); entry; entry = await nextOf(entries)) yield entry;
  } finally {
    await entries.close();
  }
}

async function openIfThere(folder: string, bufferSize: number): Promise<Dir | undefined> {
  try {
    return await opendir(folder, { bufferSize });
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

async function firstOf(entries: Dir): Promise<Dirent | 'untyped' | null> {
  try {
    const first = await entries.read();
    // Of a class of its own where Node had to look.
    return first && Object.getPrototypeOf(first) !== Dirent.prototype ? 'untyped' : first;
  } catch (error) {
    if (isVanished(error)) return 'untyped';
    throw error;
  }
}

async function nextOf(entries: Dir): Promise<Dirent | null> {
  for (;;) {
    try {
      return await entries.read();
    } catch (error) {
      if (!isVanished(error)) throw error;
    }
  }
}

/** One entry is not there any more, while the folder is. */
function isVanished(error: unknown): boolean {
  return hasCode(error, 'ENOENT') && (error as NodeJS.ErrnoException).syscall === 'lstat';
}
