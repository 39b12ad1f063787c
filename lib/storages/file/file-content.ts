import * as fs from 'node:fs';
import {
  chmodFile,
  closeFile,
  closeLater,
  hasCode,
  NO_FOLLOW,
  NO_WAIT,
  openFile,
  readInto,
  statFile,
  syncFile,
  unlinkIfThere,
  writeFrom,
} from './disk.js';

const READ = fs.constants.O_RDONLY | NO_FOLLOW | NO_WAIT;
const PATCH = fs.constants.O_RDWR | NO_FOLLOW | NO_WAIT;
const CREATE = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | NO_FOLLOW;

/** Covers small entries in one read; larger ones take an fstat and a second read. */
const FIRST_READ_BYTES = 4_096;
/** No entry is larger; whatever is has been damaged or is not ours. */
const FILE_BYTES_MAX = 1_073_741_824;

/**
 * All bytes of a file; `undefined` when there is none; `'foreign'` for what is no plain file of sensible size (a symbolic
 * link, a folder, a pipe). Rejects with the system's error for everything else.
 */
export async function readWhole(path: string): Promise<Uint8Array | undefined | 'foreign'> {
  let fd: number;
  try {
    fd = await openFile(path, READ);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    if (hasCode(error, 'ELOOP', 'EMLINK', 'ENXIO')) return 'foreign';
    throw error;
  }
  try {
    return await readOpen(fd);
  } catch (error) {
    // A folder, a pipe.
    if (hasCode(error, 'EISDIR', 'ESPIPE')) return 'foreign';
    throw error;
  } finally {
    closeNow(fd);
  }
}

async function readOpen(fd: number): Promise<Uint8Array | 'foreign'> {
  const first = Buffer.allocUnsafeSlow(FIRST_READ_BYTES);
  const count = await readInto(fd, first, 0, FIRST_READ_BYTES, 0);
  if (count < FIRST_READ_BYTES) return first.subarray(0, count);
  const stats = await statFile(fd);
  if (!stats.isFile() || stats.size > FILE_BYTES_MAX) return 'foreign';
  const whole = Buffer.allocUnsafeSlow(stats.size);
  first.copy(whole);
  let at = Math.min(FIRST_READ_BYTES, stats.size);
  while (at < stats.size) {
    const more = await readInto(fd, whole, at, stats.size - at, at);
    if (more === 0) break;
    at += more;
  }
  return whole.subarray(0, at);
}

/** What a new file is to be like. */
export interface NewFile {
  readonly mode: number;
  /** Sets the mode again after creating, because the process's umask takes bits away from it. */
  readonly setsMode: boolean;
  /** On a disk of this machine, where closing a file never waits. */
  readonly isLocal: boolean;
  /** Whether {@link isReplaced} can be trusted, and costs no trip over a network. */
  readonly showsReplaced: boolean;
  /** Waits until the disk has it. */
  readonly durable: boolean;
}

/** Creates a file that must not exist yet and writes all of `bytes`, or leaves nothing behind. */
export async function createWhole(path: string, bytes: Uint8Array, like: NewFile): Promise<void> {
  const fd = await createOpen(path, () => bytes, like);
  // Errors that some file systems report only at close (quota, network) must not be missed when it matters.
  if (like.durable) await closeFile(fd);
  else if (like.isLocal) closeNow(fd);
  else closeLater(fd);
}

/**
 * {@link createWhole}, leaving the file open for {@link isReplaced} and {@link closeNow}.
 * @param content makes the bytes, while the system makes the file
 */
export async function createOpen(
  path: string,
  content: () => Uint8Array,
  like: NewFile,
): Promise<number> {
  const opening = openFile(path, CREATE, like.mode);
  const made = outcomeOf(content);
  const fd = await opening;
  try {
    const bytes = made();
    if (like.setsMode) await chmodFile(fd, like.mode);
    await writeAll(fd, bytes, 0);
    if (like.durable) await syncFile(fd);
    return fd;
  } catch (error) {
    closeLater(fd);
    await unlinkIfThere(path);
    throw error;
  }
}

/** What `work` returned or threw, to be had later. */
function outcomeOf<T>(work: () => T): () => T {
  try {
    const result = work();
    return () => result;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

/** Whether no name leads to the open file any more. Here and now, as `isThere`. */
export function isReplaced(fd: number): boolean {
  return fs.fstatSync(fd).nlink === 0;
}

/** Overwrites bytes in the middle of an existing file. `check` sees the file's first bytes and may call it off. */
export async function patch(
  path: string,
  at: number,
  bytes: Uint8Array,
  check?: Uint8Array,
): Promise<boolean> {
  let fd: number;
  try {
    fd = await openFile(path, PATCH);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return false;
    throw error;
  }
  try {
    if (check) {
      const there = Buffer.allocUnsafe(check.length);
      const count = await readInto(fd, there, 0, check.length, at);
      if (count < check.length || there.compare(check) !== 0) return false;
    }
    await writeAll(fd, bytes, at);
    return true;
  } finally {
    closeLater(fd);
  }
}

/** A write may take less than it was given, above all when the disk is nearly full; the next one then says why. */
async function writeAll(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const count = await writeFrom(fd, bytes, done, bytes.length - done, position + done);
    if (count === 0)
      throw new Error(`The file system took ${done} of ${bytes.length} bytes and then no more.`);
    done += count;
  }
}

/**
 * Here and now: closing what was only read, or what a local disk has to write later anyway, takes the system less than a
 * microsecond, and a trip through the thread pool twenty.
 */
export function closeNow(fd: number): void {
  fs.closeSync(fd);
}
