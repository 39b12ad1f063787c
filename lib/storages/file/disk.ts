import * as fs from 'node:fs';
import { promisify } from 'node:util';

/**
 * The calls that the file storage makes. The callback functions of `node:fs` rather than `node:fs/promises`: a FileHandle
 * costs about a fifth more for each call, and a hit is only two calls.
 */
const openFile = promisify(fs.open) as (
  path: string,
  flags: number,
  mode?: number,
) => Promise<number>;
const readInto = promisify<number, Uint8Array, number, number, number, number>(
  (fd, bytes, offset, length, position, done) =>
    fs.read(fd, bytes, offset, length, position, (error, count) => done(error, count)),
);
const writeFrom = promisify<number, Uint8Array, number, number, number, number>(
  (fd, bytes, offset, length, position, done) =>
    fs.write(fd, bytes, offset, length, position, (error, count) => done(error, count)),
);
const closeFile = promisify(fs.close);
const syncFile = promisify(fs.fsync);
const statFile = promisify<number, fs.Stats>((fd, done) => fs.fstat(fd, done));
const chmodFile = promisify(fs.fchmod);
const unlinkFile = promisify(fs.unlink);
const makeFolder = promisify<string, number, void>((path, mode, done) =>
  fs.mkdir(path, mode, (error) => done(error)),
);

export const rename: (from: string, to: string) => Promise<void> = promisify(fs.rename);
export const link: (from: string, to: string) => Promise<void> = promisify(fs.link);
export const lstat: (path: string) => Promise<fs.Stats> = promisify<string, fs.Stats>(
  (path, done) => fs.lstat(path, done),
);
export const chmod: (path: string, mode: number) => Promise<void> = promisify(fs.chmod);
export const removeFolder: (path: string) => Promise<void> = promisify<string, void>((path, done) =>
  fs.rmdir(path, (error) => done(error)),
);

// Absent on Windows, where links need privileges anyway; `?? 0` leaves the flags without them.
const NO_FOLLOW = fs.constants.O_NOFOLLOW ?? 0;
/** A planted pipe must not hang the open. */
const NO_WAIT = fs.constants.O_NONBLOCK ?? 0;
const READ = fs.constants.O_RDONLY | NO_FOLLOW | NO_WAIT;
const PATCH = fs.constants.O_RDWR | NO_FOLLOW | NO_WAIT;
const CREATE = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | NO_FOLLOW;

/** Covers small entries in one read; larger ones take an fstat and a second read. */
const FIRST_READ_BYTES = 4_096;
/** No entry is larger; whatever is has been damaged or is not ours. */
const FILE_BYTES_MAX = 1_073_741_824;

/** Whether `error` is a system error with this code. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes((error as { code?: unknown } | null)?.code as string);
}

/**
 * All bytes of a file; `undefined` when there is none; `'foreign'` for what is no plain file of sensible size (a symbolic
 * link, a folder). Rejects with the system's error for everything else.
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
    if (hasCode(error, 'EISDIR')) return 'foreign';
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
  const fd = await createOpen(path, bytes, like);
  // Errors that some file systems report only at close (quota, network) must not be missed when it matters.
  if (like.durable) await closeFile(fd);
  else if (like.isLocal) closeNow(fd);
  else closeLater(fd);
}

/** {@link createWhole}, leaving the file open for {@link isReplaced} and {@link closeNow}. */
export async function createOpen(path: string, bytes: Uint8Array, like: NewFile): Promise<number> {
  const fd = await openFile(path, CREATE, like.mode);
  try {
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

/**
 * Whether no name leads to the open file any more. Here and now, as {@link isThere}: asking a local disk about what was
 * just used takes the system two microseconds, and a trip through the thread pool twenty.
 */
export function isReplaced(fd: number): boolean {
  return fs.fstatSync(fd).nlink === 0;
}

/** Whether there is anything of this name. */
export function isThere(path: string): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined;
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

/** Removes a file, or the link itself where it is one. `false`: there was none. */
export async function unlinkIfThere(path: string): Promise<boolean> {
  try {
    await unlinkFile(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

/** Another name for a file, unless the name is taken. */
export async function linkIfFree(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!hasCode(error, 'EEXIST', 'ENOENT')) throw error;
  }
}

/** Makes a folder. `false`: something of that name is there already. */
export async function makeFolderIfMissing(
  path: string,
  mode: number,
  setsMode: boolean,
): Promise<boolean> {
  try {
    await makeFolder(path, mode);
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
  if (setsMode) await chmod(path, mode);
  return true;
}

/** Makes the names in a folder last through a loss of power. */
export async function syncFolder(path: string): Promise<void> {
  const fd = await openFile(path, fs.constants.O_RDONLY);
  try {
    await syncFile(fd);
  } finally {
    closeLater(fd);
  }
}

/**
 * Here and now: closing what was only read, or what a local disk has to write later anyway, takes the system less than a
 * microsecond, and a trip through the thread pool twenty.
 */
export function closeNow(fd: number): void {
  fs.closeSync(fd);
}

/** Where closing may have to wait for a network. Nobody depends on when it happens. */
function closeLater(fd: number): void {
  fs.close(fd, () => undefined);
}
