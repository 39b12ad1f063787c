import { pause } from './pause.js';

/** How long somebody waits for a turn before going ahead without. */
const PATIENCE_MS = 100;

/**
 * Writers of one key that met, one after the other, so that each need not start over for each of the others. Only a matter
 * of speed: whoever waits too long (perhaps for itself, when a change makes another one) goes ahead. Empty when idle.
 */
export class Turns {
  readonly #tails = new Map<string, Promise<unknown>>();

  take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const mine = this.#after(before, work);
    const settled = mine.then(
      () => undefined,
      () => undefined,
    );
    this.#tails.set(key, settled);
    return mine.finally(() => {
      if (this.#tails.get(key) === settled) this.#tails.delete(key);
    });
  }

  async #after<T>(before: Promise<unknown> | undefined, work: () => Promise<T>): Promise<T> {
    if (before) await Promise.race([before, pause(PATIENCE_MS)]);
    return work();
  }
}
