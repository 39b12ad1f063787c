import type { Dir, Dirent } from 'node:fs';
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

/** The plain files of a folder, and with `deep` of the scopes below it. Folders that vanish meanwhile are left out. */
export async function* filesIn(folder: string, deep: boolean): AsyncGenerator<Found> {
  for await (const entry of entriesOf(folder)) {
    if (entry.isFile()) yield { folder, name: entry.name };
    else if (isEntered(entry, deep)) yield* filesIn(join(folder, entry.name), deep);
  }
}

/** The folders of a subtree, itself included. */
export async function* foldersIn(folder: string): AsyncGenerator<string> {
  yield folder;
  for await (const entry of entriesOf(folder))
    if (isEntered(entry, true)) yield* foldersIn(join(folder, entry.name));
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

async function* entriesOf(folder: string): AsyncGenerator<Dirent> {
  let entries: Dir;
  try {
    entries = await opendir(folder, { bufferSize: BATCH });
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return;
    throw error;
  }
  // The iterator closes the folder, however the loop ends.
  for await (const entry of entries) yield entry;
}
