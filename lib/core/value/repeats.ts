import { repeated } from './refusal.js';

/** Objects may be copied before anybody looks whether they are the same ones: most values end before that. */
export const WATCHED_AFTER = 100_000;

/** How many copies of objects that were copied before one value may cost, and how many more for each object that is new. */
const REPEATS_MAX = 100_000;
const REPEATS_EACH = 10;

/**
 * Watches a value whose copy grows large. An object in two places becomes two, so thirty lists that each hold the next one
 * twice would become a thousand million. Told of each object that is about to be copied, from some point on.
 */
export class Repeats {
  readonly #seen = new Set<object>();
  #repeats = 0;

  /** @throws Refusal when the value holds few objects, again and again */
  watch(value: object): void {
    const { size } = this.#seen;
    if (this.#seen.add(value).size > size) return;
    if (++this.#repeats > REPEATS_MAX + REPEATS_EACH * size) throw repeated(REPEATS_MAX);
  }
}
