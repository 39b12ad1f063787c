import { crc32 } from 'node:zlib';
import { hasCode, identityOf, rename, unlinkIfThere } from './disk.js';
import { readWhole } from './file-content.js';
import type { Place } from './file-layout.js';
import type { Folders } from './folders.js';

/** Tags noted on a lease at most; beyond, the lease is voided instead, which only costs a load. */
const TAGS_MAX = 1_000;

/** What a lease's file says. */
export interface LeaseRecord {
  readonly token: string;
  /** Wall-clock ms. */
  readonly expiresAt: number;
  /** The process that loads. */
  readonly ownerId: string;
  /** The entry's head when the lease was taken, `''` for none: when it is another one, the key was written and the lease is void. */
  readonly seen: string;
  /** Evicted, at this place or above it, since the lease was taken: a result carrying one must not be stored. */
  readonly evictedTags: readonly string[];
}

/** The lease on a key, if there is a readable one. Damaged ones do not count. */
export async function readLease(place: Place): Promise<LeaseRecord | undefined> {
  const bytes = await readWhole(place.lease);
  if (!(bytes instanceof Uint8Array)) return undefined;
  const text = new TextDecoder().decode(bytes);
  const end = text.indexOf('\n');
  if (end === -1 || text.slice(0, end) !== String(crc32(text.slice(end + 1)))) return undefined;
  return JSON.parse(text.slice(end + 1)) as LeaseRecord;
}

/** For those who have the key to themselves. */
export async function writeLease(
  folders: Folders,
  place: Place,
  lease: LeaseRecord,
): Promise<void> {
  await putLease(folders, place, lease, () => true);
}

/**
 * {@link writeLease} in place of one that was read. `false`: its scope was evicted meanwhile, and the lease with it; it must not come
 * back in a folder that was made since (P5).
 * @param folder what {@link identityOf} said of the place's folder before the lease was read
 */
export async function rewriteLease(
  folders: Folders,
  place: Place,
  lease: LeaseRecord,
  folder: string | undefined,
): Promise<boolean> {
  try {
    // Asked between making the file and renaming it: it lies in the folder that the lease was read in, or the rename fails.
    return await putLease(folders, place, lease, () => identityOf(place.folder) === folder);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    return false;
  }
}

/** `false`: `check` refused. */
async function putLease(
  folders: Folders,
  place: Place,
  lease: LeaseRecord,
  check: () => boolean,
): Promise<boolean> {
  const text = JSON.stringify(lease);
  const bytes = new TextEncoder().encode(`${crc32(text)}\n${text}`);
  const temp = await folders.createTemp(place.folder, bytes);
  try {
    const isWanted = check();
    if (isWanted) await rename(temp, place.lease);
    else await unlinkIfThere(temp);
    return isWanted;
  } catch (error) {
    await unlinkIfThere(temp);
    throw error;
  }
}

/** Makes the running load's result unfit to be stored: always, or when it carries one of `tags`. For those who have the key. */
export async function voidLease(
  folders: Folders,
  place: Place,
  tags?: readonly string[],
): Promise<void> {
  const folder = identityOf(place.folder);
  const lease = tags && (await readLease(place));
  const evictedTags = lease ? [...new Set([...lease.evictedTags, ...tags])] : [];
  if (!lease || evictedTags.length > TAGS_MAX) await unlinkIfThere(place.lease);
  else await rewriteLease(folders, place, { ...lease, evictedTags }, folder);
}
