import type { Clock } from '../clock.js';
import { StorageUnavailableError } from '../errors.js';

/** Failures in a row after which calls are no longer tried. */
const FAILURES_MAX = 5;
/** How long calls fail at once before one is let through again. Doubles with each failed probe. */
const OPEN_MS = 500;
const OPEN_MS_MAX = 5_000;

/**
 * Spares callers the wait for a storage that is away: after five failures in a row every call fails at once; after a
 * while one probe is let through, and its success closes the circuit.
 */
export class CircuitBreaker {
  #failures = 0;
  #openUntil = 0;
  #openMs = OPEN_MS;
  #isProbing = false;
  #succeededAt = -Infinity;

  constructor(readonly clock: Clock) {}

  get isOpen(): boolean {
    return this.#failures >= FAILURES_MAX;
  }

  /** @throws StorageUnavailableError when the call must not be tried */
  admit(during: string): void {
    if (!this.isOpen) return;
    if (this.#isProbing || this.clock.monotonic() < this.#openUntil)
      throw new StorageUnavailableError(
        `${during} was not tried: the storage failed ${this.#failures} times in a row and is being given time.`,
      );
    this.#isProbing = true;
  }

  succeeded(): void {
    this.#succeededAt = this.clock.monotonic();
    this.#failures = 0;
    this.#openMs = OPEN_MS;
    this.#isProbing = false;
  }

  /**
   * @param startedAt when the call began, on the monotonic scale. Where another one has succeeded since, the storage is
   * not away: one of its servers may be.
   */
  failed(startedAt: number): void {
    if (this.#succeededAt > startedAt) return;
    this.#failures++;
    if (!this.isOpen) return;
    if (this.#isProbing) this.#openMs = Math.min(OPEN_MS_MAX, this.#openMs * 2);
    this.#openUntil = this.clock.monotonic() + this.#openMs;
    this.#isProbing = false;
  }
}
