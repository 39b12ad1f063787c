import type { Clock } from '../clock.js';
import { StorageUnavailableError } from '../errors.js';

/** Failures in a row after which calls are no longer tried. */
const FAILURES_MAX = 5;
/**
 * How long calls fail at once before one is let through again. Short at first, because most often only a connection was lost,
 * which is back within 50 ms; doubles with each failed probe. Short at most too: a storage that is back
 * should not be missed for longer than anybody notices.
 */
const OPEN_MS = 100;
const OPEN_MS_MAX = 500;

/**
 * Spares callers the wait for a storage that is away: after five failures in a row every call fails at once; after a
 * while one probe is let through, and its success closes the circuit.
 */
export class CircuitBreaker {
  #failures = 0;
  #openUntil = 0;
  #openMs = OPEN_MS;
  #isProbing = false;
  #successes = 0;

  constructor(readonly clock: Clock) {}

  /** How many calls have succeeded so far. */
  get successes(): number {
    return this.#successes;
  }

  get isOpen(): boolean {
    return this.#failures >= FAILURES_MAX;
  }

  /**
   * Answers {@link successes}, for {@link failed}.
   * @throws StorageUnavailableError when the call must not be tried
   */
  admit(during: string): number {
    if (!this.isOpen) return this.#successes;
    if (this.#isProbing || this.clock.monotonic() < this.#openUntil)
      throw new StorageUnavailableError(
        `${during} was not tried: the storage failed ${this.#failures} times in a row and is being given time.`,
      );
    this.#isProbing = true;
    return this.#successes;
  }

  succeeded(): void {
    this.#successes++;
    this.#failures = 0;
    this.#openMs = OPEN_MS;
    this.#isProbing = false;
  }

  /**
   * @param before what {@link admit} answered. Where another call has succeeded since, the storage is not away: one of its
   * servers may be.
   */
  failed(before: number): void {
    if (this.#successes > before) return;
    this.#failures++;
    if (!this.isOpen) return;
    if (this.#isProbing) this.#openMs = Math.min(OPEN_MS_MAX, this.#openMs * 2);
    this.#openUntil = this.clock.monotonic() + this.#openMs;
    this.#isProbing = false;
  }
}
