import * as fs from 'node:fs';
import { promisify } from 'node:util';

/**
 * The calls that the file storage makes. The callback functions of `node:fs` rather than `node:fs/promises`: a FileHandle
 * costs about a fifth more for each call, and a hit is only two calls.
 */
export const openFile = promisify(fs.open) as (
  path: string,
  flags: number,
  mode?: number,
) => Promise<number>;
export const readInto = promisify<number, Uint8Array, number, number, number, number>(
  (fd, bytes, offset, length, position, done) =>
    fs.read(fd, bytes, offset, length, position, (error, count) => done(error, count)),
);
export const writeFrom = promisify<number, Uint8Array, number, number, number, number>(
  (fd, bytes, offset, length, position, done) =>
    fs.write(fd, bytes, offset, length, position, (error, count) => done(error, count)),
);
export const closeFile = promisify(fs.close);
export const syncFile = promisify(fs.fsync);
export const statFile = promisify<number, fs.Stats>((fd, done) => fs.fstat(fd, done));
export const chmodFile = promisify(fs.fchmod);
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
export const NO_FOLLOW = fs.constants.O_NOFOLLOW ?? 0;
/** A planted pipe must not hang the open. */
export const NO_WAIT = fs.constants.O_NONBLOCK ?? 0;
/** Whether `error` is a system error with this code. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes((error as { code?: unknown } | null)?.code as string);
}

/** Whether making a hard link failed because the file system has none. */
export function hasNoLinks(error: unknown): boolean {
  return hasCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS');
}

/**
 * Whether there is anything of this name. Here and now: asking a local disk about what was just used takes the system two
 * microseconds, and a trip through the thread pool twenty.
 */
export function isThere(path: string): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/**
 * What tells a folder from another one that has come into its place; `undefined`: there is none. Here and now, as {@link isThere}.
 * The number alone does not: ext4 gives that of a folder that was removed to the next one.
 */
export function identityOf(path: string): string | undefined {
  const stats = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.ino} ${stats.birthtimeNs}`;
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

/** Where closing may have to wait for a network. Nobody depends on when it happens. */
export function closeLater(fd: number): void {
  fs.close(fd, () => undefined);
}
