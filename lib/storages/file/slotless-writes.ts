import type { EntryAddress } from '../../core/storage.js';
import { isThere, unlinkIfThere } from './disk.js';
import { closeNow, isReplaced, readWhole } from './file-content.js';
import type { EntryFiles } from './entry-files.js';
import type { FileEntry } from './entry-file.js';
import type { Place } from './file-layout.js';

/**
 * Writes and removals that depend on nothing that is there. They take no slot, which would cost a third more, as long as
 * nobody else has it.
 *
 * Whoever has the slot may have read the old entry and be about to replace or remove the new one, or to bring back what was
 * removed. That shows afterwards: either the slot is still taken, or the file is not what this write left. Then it is done
 * once more, after them, with the slot. Until then it has not resolved, so nobody can rely on it yet.
 */
export class SlotlessWrites {
  constructor(readonly files: EntryFiles) {}

  /**
   * Replaces the entry, which voids leases: they know what they were taken on. `false`: the scope was evicted meanwhile.
   * @param content gives the bytes; the same at each call
   * @param check may refuse at the last moment
   */
  async put(place: Place, content: () => Uint8Array, check?: () => boolean): Promise<boolean> {
    const { files } = this;
    if (!this.#isPossible) return files.publish(place, content(), check);
    const opening = files.folders.openTemp(place.folder, content);
    opening.catch(() => undefined); // awaited below, but perhaps not before it fails
    const outcome = await files.gate.turn(place.slot, async () => {
      const { path, fd } = await opening;
      try {
        return await this.#replace(place, path, fd, check);
      } catch (error) {
        await unlinkIfThere(path);
        throw error;
      } finally {
        closeNow(fd);
      }
    });
    return outcome === 'contested' ? files.publish(place, content(), check) : outcome;
  }

  /** Removes the entry and voids the lease. Resolves to what it removed: of two that remove at once, one finds it. */
  async remove(at: EntryAddress, place: Place): Promise<FileEntry | undefined> {
    if (!this.#isPossible) return this.#removeWithSlot(at, place);
    let removed: FileEntry | undefined;
    const isDone = await this.files.gate.turn(place.slot, async () => {
      if (this.#isTaken(place)) return false;
      const bytes = await readWhole(place.path);
      const there = bytes === undefined ? undefined : this.files.decode(at, bytes);
      if (there === 'damaged') return false;
      if ((await this.files.removeAlone(place)) && there) removed = there;
      // In this order: a slot that is free now was given back before the look at the files.
      return !(this.#isTaken(place) || isThere(place.path) || isThere(place.lease));
    });
    return isDone ? removed : ((await this.#removeWithSlot(at, place)) ?? removed);
  }

  /** Needs a look at files that costs next to nothing, and that tells the truth. */
  get #isPossible(): boolean {
    return this.files.folders.like.showsReplaced;
  }

  async #replace(
    place: Place,
    temp: string,
    fd: number,
    check: (() => boolean) | undefined,
  ): Promise<boolean | 'contested'> {
    if (this.#isTaken(place)) {
      await unlinkIfThere(temp);
      return 'contested';
    }
    if (!(await this.files.commit(place, temp, check))) return false;
    // In this order, as above.
    return this.#isTaken(place) || isReplaced(fd) ? 'contested' : true;
  }

  #removeWithSlot(at: EntryAddress, place: Place): Promise<FileEntry | undefined> {
    return this.files.alone(place, async () => {
      const there = await this.files.readAlone(at, place);
      return (await this.files.removeAlone(place)) ? there : undefined;
    });
  }

  #isTaken(place: Place): boolean {
    return this.files.gate.isTaken(place.slot);
  }
}
