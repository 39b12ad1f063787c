import type { Clock } from '../clock.js';
import { StorageUnavailableError } from '../errors.js';
import { isPromise } from '../guard.js';
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

  /** Answers at once where the caller's own code does: a storage may then go on without a pause in between. */
  readonly #ask: Change = (current) => {
    this.#throwIfOver();
    try {
      const result = this.change(current);
      return isPromise(result) ? this.#waitFor(result) : this.#unlessOver(result);
    } catch (error) {
      this.ownError = { error };
      throw error;
    }
  };

  async #waitFor(result: Promise<ChangeResult>): Promise<ChangeResult> {
    this.#deadline.pause();
    try {
      return this.#unlessOver(await result);
    } catch (error) {
      this.ownError = { error };
      throw error;
    } finally {
      if (!this.#isOver) this.#deadline.resume();
    }
  }

  /** It may have to wait in the storage before it is written. */
  #unlessOver(result: ChangeResult): ChangeResult {
    if (!('write' in result)) return result;
    return { ...result, stillValid: () => !this.#isOver && result.stillValid?.() !== false };
  }

  /** Who asked has been told that it failed, and may have deleted the entry since. */
  #throwIfOver(): void {
    if (this.#isOver)
      throw new StorageUnavailableError('change: it was given up before the storage had answered.');
  }
}
