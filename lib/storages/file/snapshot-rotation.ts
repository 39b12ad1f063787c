import { constants } from 'node:fs';
import { copyFile, link, lstat, open, readdir, rename } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { hasCode, hasNoLinks, unlinkIfThere } from './disk.js';
import { lifeOf, thisProcess } from './process-identity.js';

/**
 * Makes room for one more backup without ever taking the current snapshot away: it is linked, not moved. Only as many move
 * up as stand without a gap, so that dumps that fail after this do not push good backups out.
 */
export async function rotate(path: string, backups: number): Promise<void> {
  if (backups === 0 || !(await exists(path))) return;
  let gap = 1;
  while (gap < backups && (await exists(`${path}.${gap}`))) gap++;
  for (let at = gap; at > 1; at--) await rename(`${path}.${at - 1}`, `${path}.${at}`);
  const temp = join(dirname(path), tempName(path));
  await linkOrCopy(path, temp);
  await rename(temp, `${path}.1`);
  // Renaming one link of a file over another one does nothing at all, and leaves both.
  await unlinkIfThere(temp);
}

/** A copy where the file system has no hard links (FAT, some network shares): it takes time and space, and the same file stays. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!hasNoLinks(error)) throw error;
    await copyOf(from, to);
  }
}

async function copyOf(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL);
    const handle = await open(to, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    await unlinkIfThere(to);
    throw error;
  }
}

/** Pid and start time, so that others can tell whether the process that writes it is still there. */
export function tempName(path: string): string {
  const { pid, start } = thisProcess('');
  return `.${basename(path)}.${pid}.${start || 0}.${randomBytes(8).toString('hex')}.tmp`;
}

/** Removes temporary files of dumps whose process is gone. */
export async function removeOrphans(path: string): Promise<void> {
  const me = thisProcess('');
  const prefix = `.${basename(path)}.`;
  for (const name of await readdir(dirname(path))) {
    const parts = name.startsWith(prefix)
      ? /^(\d+)\.(\d+)\.[0-9a-f]{16}\.tmp$/.exec(name.slice(prefix.length))
      : null;
    if (!parts || Number(parts[1]) === me.pid) continue;
    const start = parts[2] === '0' ? '' : parts[2]!;
    if ((await lifeOf({ ...me, pid: Number(parts[1]), start }, me)) === 'dead')
      await unlinkIfThere(join(dirname(path), name));
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
