import type { EntryAddress } from '../../core/storage.js';

/** Whether anything has been put at a place since somebody looked there. */
export interface Watch {
  readonly at: EntryAddress;
  isOvertaken: boolean;
}

/**
 * Places that changes under way have looked at. What was put there meanwhile may be gone again, evicted for want of room for
 * example, so that the place looks as it did; and still the change is older than that was (P5). Empty when idle.
 */
export class Watches {
  readonly #open = new Set<Watch>();

  open(at: EntryAddress): Watch {
    const watch = { at, isOvertaken: false };
    this.#open.add(watch);
    return watch;
  }

  close(watch: Watch): void {
    this.#open.delete(watch);
  }

  /** Something is put there. */
  note(at: EntryAddress): void {
    if (this.#open.size === 0) return;
    for (const watch of this.#open)
      if (watch.at.key === at.key && watch.at.scope.id === at.scope.id) watch.isOvertaken = true;
  }
}
