import type { Clock } from '../clock.js';
import { StorageUnavailableError } from '../errors.js';
import type { Awaitable, Change, ChangeResult } from '../storage.js';
import { PausableDeadline } from './deadline.js';

/**
 * One atomic change under a deadline for all that the storage does, however often it begins again; the caller's own code
 * may take its time. Given up, it writes nothing more: the storage is refused what it would have written.
 */
export class TimedChange {
  /** What the caller's own code threw: no fault of the storage. */
  ownError: { readonly error: unknown } | undefined;
  readonly #deadline: PausableDeadline;
  #isOver = false;

  constructor(
    clock: Clock,
    ms: number,
    readonly change: Change,
  ) {
    this.#deadline = new PausableDeadline(clock, ms, 'change');
  }

  /** @param keepsDeadlines the storage has a deadline of its own, which ends all that it does */
  async run(
    work: (change: Change) => Awaitable<ChangeResult>,
    keepsDeadlines: boolean,
  ): Promise<ChangeResult> {
    const working = Promise.resolve(work(this.#ask));
    try {
      return await (keepsDeadlines ? working : this.#deadline.race(working));
    } finally {
      this.#isOver = true;
      this.#deadline.pause();
    }
  }

  readonly #ask: Change = async (current) => {
    this.#throwIfOver();
    this.#deadline.pause();
    try {
      return await this.change(current);
    } catch (error) {
      this.ownError = { error };
      throw error;
    } finally {
      if (!this.#isOver) this.#deadline.resume();
    }
  };

  /** Who asked has been told that it failed, and may have deleted the entry since. */
  #throwIfOver(): void {
    if (this.#isOver)
      throw new StorageUnavailableError('change: it was given up before the storage had answered.');
  }
}
