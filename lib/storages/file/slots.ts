import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../core/clock.js';
import { StorageUnavailableError } from '../../core/errors.js';
import { hasCode, isThere, link, unlinkIfThere } from './disk.js';
import type { FileLayout } from './file-layout.js';
import type { Owners } from './owners.js';
import { pause } from './pause.js';
import type { Restore } from './safe-folder.js';

/** Tries before the pauses begin: a slot is usually held for less than a millisecond. */
const QUICK_TRIES = 8;
const PAUSE_MS_MAX = 20;

/**
 * Mutual exclusion on one key between processes: whoever makes the link `slots/<name>` has the key, until it removes it.
 *
 * Making a hard link is one atomic call that fails when the name exists, and the link holds the owner's identity from the
 * start. A dead owner's slots are removed only by a process that holds the slot named after that owner, so that two
 * processes never break the same slot, one of them removing what the other has just made.
 *
 * Slots live in a folder of their own: evicting a scope moves its folder away and must not take slots with it.
 */
export class Slots {
  #reclaiming: Promise<void> = Promise.resolve();

  constructor(
    readonly layout: FileLayout,
    readonly owners: Owners,
    readonly timeoutMs: number,
    readonly restore: Restore,
  ) {}

  /** @throws StorageUnavailableError when another process holds it for longer than the time allowed */
  async acquire(name: string): Promise<void> {
    const until = systemClock.monotonic() + this.timeoutMs;
    for (let tries = 0; !(await this.#take(name)); tries++) {
      // The first time is nearly always a live process about to finish: do not spend reads on who it is.
      if (tries >= 1) await this.#breakIfDead(name);
      if (systemClock.monotonic() >= until) throw this.#tooLong(name);
      if (tries >= QUICK_TRIES) await pause(1 + Math.random() * Math.min(PAUSE_MS_MAX, tries));
    }
  }

  isTaken(name: string): boolean {
    return isThere(join(this.layout.slots, name));
  }

  async release(name: string): Promise<void> {
    await unlinkIfThere(join(this.layout.slots, name));
  }

  /** Removes all that a dead process holds, and its file. One after the other in this process. */
  reclaim(ownerId: string): Promise<void> {
    const mine = this.#reclaiming.then(() => this.#reclaimNow(ownerId));
    this.#reclaiming = mine.catch(() => undefined);
    return mine;
  }

  async #reclaimNow(ownerId: string): Promise<void> {
    const claim = `owner-${ownerId}`;
    await this.acquire(claim);
    try {
      for (const name of await readdir(this.layout.slots)) {
        const path = join(this.layout.slots, name);
        const found = name === claim ? undefined : await this.owners.inspect(path);
        if (found?.owner.id === ownerId) await unlinkIfThere(path);
      }
      await unlinkIfThere(join(this.layout.owners, ownerId));
    } finally {
      await this.release(claim);
    }
  }

  async #take(name: string): Promise<boolean> {
    try {
      await link(this.owners.file, join(this.layout.slots, name));
      return true;
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false;
      if (!hasCode(error, 'ENOENT')) throw error;
      // Somebody tidied up the folder: start over with a new file of our own.
      this.restore();
      await this.owners.register();
      return false;
    }
  }

  async #breakIfDead(name: string): Promise<void> {
    const path = join(this.layout.slots, name);
    const found = await this.owners.inspect(path);
    // Callers take turns in this process, so a slot of its own can only be one whose removal failed.
    if (found?.owner.id === this.owners.me.id) await this.release(name);
    else if (found?.isDead) await this.#reclaimFor(name, found.owner.id);
  }

  /** A claim on a dead owner may itself have been left by a process that died: then it is that one's turn first. */
  #reclaimFor(name: string, ownerId: string): Promise<void> {
    return name.startsWith('owner-') ? this.#reclaimNow(ownerId) : this.reclaim(ownerId);
  }

  #tooLong(name: string): StorageUnavailableError {
    return new StorageUnavailableError(
      `fileStorage: another process has held ${join(this.layout.slots, name)} for more than ${this.timeoutMs} ms. ` +
        'If no process uses the folder any more, remove that file.',
    );
  }
}
