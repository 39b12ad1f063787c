import type { EntrySealer } from '../../core/entry-sealer.js';
import type { NewEntry, StoredEntry } from '../../core/entry.js';
import { CacheError } from '../../core/errors.js';
import type { EnvelopeTimes } from '../../core/envelope.js';
import type { Awaitable, EntryAddress, StorageHost } from '../../core/storage.js';
import { hasCode, linkIfFree, rename, unlinkIfThere } from './disk.js';
import { patch, readWhole } from './file-content.js';
import {
  decodeEntry,
  encodeEntry,
  HEAD_AT,
  headOf,
  renewedHead,
  resealed,
  timesFrom,
  toStored,
  usedNow,
  type FileEntry,
} from './entry-file.js';
import type { FileLayout, Place } from './file-layout.js';
import type { Folders } from './folders.js';
import type { KeyGate } from './key-gate.js';
import type { Quarantine } from './quarantine.js';

/**
 * Reads, publishes and removes single entries. Everything that changes one runs inside {@link EntryFiles.alone}, except
 * plain writes and removals ({@link SlotlessWrites}).
 */
export class EntryFiles {
  constructor(
    readonly host: StorageHost,
    readonly sealer: EntrySealer,
    readonly layout: FileLayout,
    readonly folders: Folders,
    readonly gate: KeyGate,
    readonly quarantine: Quarantine,
  ) {}

  /** `work` with the key to itself, in this and in every other process. */
  alone<T>(place: Place, work: () => Promise<T>): Promise<T> {
    return this.gate.run(place.slot, work);
  }

  /** The entry in the file, of whatever age; damaged files are set aside. Needs no lock: files are replaced whole. */
  async read(at: EntryAddress, place: Place): Promise<FileEntry | undefined> {
    const bytes = await readWhole(place.path);
    if (bytes === undefined) return undefined;
    const file = this.decode(at, bytes);
    if (file !== 'damaged') return file;
    // A life being renewed just now looks damaged for an instant. With the key to ourselves it does not.
    return this.alone(place, () => this.readAlone(at, place));
  }

  /** {@link EntryFiles.read} for those who have the key to themselves. */
  async readAlone(at: EntryAddress, place: Place): Promise<FileEntry | undefined> {
    const bytes = await readWhole(place.path);
    if (bytes === undefined) return undefined;
    const file = this.decode(at, bytes);
    if (file !== 'damaged') return file;
    const moved = await this.quarantine.setAside(
      place.path,
      'it is damaged, of a newer version, or not the entry that belongs there',
      at,
    );
    return moved === undefined ? undefined : this.#putBackIfGood(at, place, moved);
  }

  /** The entry as the core sees it; `undefined` where its value cannot be read (a class whose codec is gone): a miss, reported. */
  stored(at: EntryAddress, file: FileEntry): StoredEntry | undefined {
    try {
      return toStored(this.host, file);
    } catch (error) {
      this.#report(error, at);
      return undefined;
    }
  }

  encode(
    at: EntryAddress,
    entry: NewEntry,
    times: EnvelopeTimes = timesFrom(this.host.clock.now(), entry),
  ): Uint8Array {
    return encodeEntry(this.host, this.sealer, at, entry, times);
  }

  /**
   * Replaces the entry with the key held. The file is written while waiting for the key.
   * `check` may refuse at the last moment; `atEnd` comes after all else; both with the key held. `false`: `check` refused,
   * or the scope was evicted meanwhile.
   */
  async publish(
    place: Place,
    bytes: Uint8Array,
    check?: () => Awaitable<boolean>,
    atEnd?: () => Promise<void>,
  ): Promise<boolean> {
    const creating = this.folders.createTemp(place.folder, bytes);
    creating.catch(() => undefined); // awaited below, but perhaps not before it fails
    try {
      return await this.alone(place, async () => {
        const isPublished = await this.commit(place, await creating, check);
        await atEnd?.();
        return isPublished;
      });
    } catch (error) {
      await creating.then(unlinkIfThere, () => undefined);
      throw error;
    }
  }

  /** {@link EntryFiles.publish} for those who have the key to themselves. `false`: refused, or the scope was evicted meanwhile. */
  async publishAlone(place: Place, bytes: Uint8Array, check?: () => boolean): Promise<boolean> {
    const temp = await this.folders.createTemp(place.folder, bytes);
    try {
      return await this.commit(place, temp, check);
    } catch (error) {
      await unlinkIfThere(temp);
      throw error;
    }
  }

  /** Removes the entry and voids the lease; for those who have the key to themselves. `true`: there was an entry. */
  async removeAlone(place: Place): Promise<boolean> {
    const [wasThere] = await Promise.all([unlinkIfThere(place.path), unlinkIfThere(place.lease)]);
    await this.folders.sync(place.folder);
    return wasThere;
  }

  /** Removes the entry if it is still as `condition` wants it. */
  removeIf(
    at: EntryAddress,
    place: Place,
    condition: (file: FileEntry) => boolean,
  ): Promise<FileEntry | undefined> {
    return this.alone(place, async () => {
      const file = await this.readAlone(at, place);
      if (!file || !condition(file)) return undefined;
      await this.removeAlone(place);
      return file;
    });
  }

  /** Gives the entry other times; for those who have the key to themselves. `false`: it is not there any more. */
  async renewAlone(place: Place, file: FileEntry, times: EnvelopeTimes): Promise<boolean> {
    if (!file.isSealed)
      return patch(place.path, HEAD_AT, renewedHead(this.host, file, times), headOf(file));
    const there = await readWhole(place.path);
    const isSame = there instanceof Uint8Array && Buffer.compare(there, file.bytes) === 0;
    return isSame && this.publishAlone(place, resealed(this.sealer, file, times));
  }

  /** Notes in the file that the entry was used. */
  async noteUse(place: Place): Promise<void> {
    await patch(place.path, 0, usedNow(this.host.clock.now()));
  }

  /**
   * The temporary file lies in the scope's folder. When that was evicted, the file went with it and renaming it fails:
   * nothing that was begun before an eviction appears after it.
   */
  async commit(place: Place, temp: string, check?: () => Awaitable<boolean>): Promise<boolean> {
    if (check && !(await check())) {
      await unlinkIfThere(temp);
      return false;
    }
    try {
      await rename(temp, place.path);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return false;
      throw error;
    }
    await this.folders.sync(place.folder);
    return true;
  }

  /** What a file at this place says; `undefined` for what cannot be opened, which is reported. */
  decode(at: EntryAddress, bytes: Uint8Array | 'foreign'): FileEntry | undefined | 'damaged' {
    if (bytes === 'foreign') return 'damaged';
    try {
      const file = decodeEntry(this.sealer, bytes, at);
      return file?.envelope.isFor(at.scope.id, at.key) ? file : 'damaged';
    } catch (error) {
      // Not damaged: with its key back, it is an entry again. So it stays, and is a miss.
      if (!(error instanceof CacheError)) throw error;
      this.#report(error, at);
      return undefined;
    }
  }

  /** A write without slot may have come between reading the file and moving it away. */
  async #putBackIfGood(
    at: EntryAddress,
    place: Place,
    moved: string,
  ): Promise<FileEntry | undefined> {
    const bytes = await readWhole(moved);
    const file = bytes === undefined ? 'damaged' : this.decode(at, bytes);
    if (file === 'damaged') return undefined;
    await linkIfFree(moved, place.path);
    return file;
  }

  #report(error: unknown, { key, scope }: EntryAddress): void {
    this.host.listener.onFault?.({ during: 'read', storage: 'file', error, key, scope });
  }
}
