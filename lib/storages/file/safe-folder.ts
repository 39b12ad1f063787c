import {
  chmodSync,
  closeSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  statfsSync,
  unlinkSync,
  type Stats,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { InvalidOptionsError } from '../../core/errors.js';
import { hasCode, hasNoLinks } from './disk.js';
import type { FileLayout } from './file-layout.js';
import type { FileSettings } from './file-options.js';

/** Whether the umask takes bits away, so that modes have to be set once more. */
export interface Umask {
  readonly spoilsFiles: boolean;
  readonly spoilsFolders: boolean;
}

/** What trying it out said about the place. */
export interface Surroundings extends Umask {
  /** An open file tells when its last name is gone. */
  readonly showsReplaced: boolean;
}

/**
 * Makes and checks the folders that everything else lives in. Synchronous: it runs once, when the application starts, and
 * a wrong folder must fail the start rather than the first write.
 * @throws InvalidOptionsError for a folder that is missing, a link, another user's, or writable by others
 */
export function prepareFolders(
  layout: FileLayout,
  settings: FileSettings,
  token: string,
): Surroundings {
  makeFolders(layout, settings);
  return probe(layout, settings, token);
}

/** Called when something was not there: makes the storage's own folders again, which may be why. */
export type Restore = () => void;

/** What somebody removed while the storage was open, made again as at the start. */
export function restoreFolders(layout: FileLayout, settings: FileSettings): void {
  if (!foldersOf(layout).every(existsAt)) makeFolders(layout, settings);
}

function makeFolders(layout: FileLayout, settings: FileSettings): void {
  if (!existsAt(layout.root)) makeRoot(layout.root, settings);
  checkFolder(layout.root);
  for (const folder of foldersOf(layout)) makeFolder(folder, settings.directoryMode);
}

function foldersOf(layout: FileLayout): string[] {
  const { base, entries, slots, owners, trash, corrupt } = layout;
  return [base, entries, slots, owners, trash, corrupt];
}

function makeRoot(root: string, settings: FileSettings): void {
  if (!settings.createDirectory)
    throw new InvalidOptionsError(
      `fileStorage: the directory ${root} does not exist and createDirectory is false. Create it, or leave createDirectory out.`,
    );
  try {
    mkdirSync(dirname(root), { recursive: true, mode: settings.directoryMode });
  } catch (error) {
    throw unusable(root, 'cannot be created', error);
  }
  makeFolder(root, settings.directoryMode);
}

/** Sets the mode only of what it made itself: an existing folder's is its owner's business. */
function makeFolder(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
    chmodSync(path, mode);
  } catch (error) {
    // A folder that exists will do even where nothing can be made: what is in it can still be read.
    if (!hasCode(error, 'EEXIST') && !(hasCode(error, 'EROFS', 'EACCES') && existsAt(path)))
      throw unusable(path, 'cannot be created', error);
  }
  checkFolder(path);
}

function checkFolder(path: string): void {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink())
    throw unusable(
      path,
      'is a symbolic link, so somebody else could decide where entries go; name the folder itself',
    );
  if (!stats.isDirectory()) throw unusable(path, 'is not a folder');
  checkOwner(path, stats);
}

function checkOwner(path: string, stats: Stats): void {
  const uid = process.getuid?.();
  // Windows has neither.
  if (uid === undefined) return;
  if (stats.uid !== uid)
    throw unusable(
      path,
      `belongs to user ${stats.uid}, but this process runs as ${uid}; use a folder of its own, or chown it`,
    );
  if ((stats.mode & 0o022) !== 0)
    throw unusable(
      path,
      `can be written to by other users (mode ${(stats.mode & 0o777).toString(8)}); run chmod go-w on it`,
    );
}

function existsAt(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** By trying: reading the umask means setting it for a moment, for all threads. */
function probe(layout: FileLayout, settings: FileSettings, token: string): Surroundings {
  const path = join(layout.trash, `probe-${process.pid}-${token}`);
  try {
    const fd = openSync(path, 'wx', 0o777);
    try {
      const taken = ~fstatSync(fd).mode & 0o777;
      checkLinks(layout, path);
      unlinkSync(path);
      return {
        spoilsFiles: (taken & settings.fileMode) !== 0,
        spoilsFolders: (taken & settings.directoryMode) !== 0,
        showsReplaced: fstatSync(fd).nlink === 0,
      };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    // A full or read-only disk must not keep the application from starting; writes will report it.
    if (hasCode(error, 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO', 'EMFILE'))
      return { spoilsFiles: true, spoilsFolders: true, showsReplaced: false };
    throw error;
  }
}

/** @throws InvalidOptionsError where a file cannot have two names, which is how processes keep each other out */
function checkLinks(layout: FileLayout, path: string): void {
  const other = `${path}-link`;
  try {
    linkSync(path, other);
  } catch (error) {
    if (!hasNoLinks(error)) throw error;
    unlinkSync(path);
    throw unusable(
      layout.root,
      'lies on a file system without hard links (FAT, some network shares), which fileStorage needs; ' +
        'choose another folder, or withSnapshots(memoryStorage(), …), which works there',
      error,
    );
  }
  unlinkSync(other);
}

function unusable(path: string, why: string, cause?: unknown): InvalidOptionsError {
  return new InvalidOptionsError(
    `fileStorage: ${path} ${why}.`,
    cause === undefined ? undefined : { cause },
  );
}

/** NFS, SMB and CIFS, Ceph, 9P, FUSE and what else may have a network behind it, by their magic numbers. */
const REMOTE = new Set([
  0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x00c36400, 0x01021997, 0x65735546, 0x5346414f,
  0x73757245,
]);

/** Whether the folder is on a disk of this machine, as far as the system says. */
export function isOnLocalDisk(path: string): boolean {
  try {
    return !REMOTE.has(Number(statfsSync(path, { bigint: true }).type & 0xffff_ffffn));
  } catch (error) {
    if (hasCode(error, 'ENOSYS', 'ENOTSUP', 'EACCES')) return false;
    throw error;
  }
}
