/** Something with a deadline. Set `isOver` when it has ended. */
export interface Deadline {
  isOver: boolean;
}

/** A timer that fires later than this by so much tells of a pause of the process. */
const LATE_MS = 20;
const GRACE_MS = 50;

interface Pending extends Deadline {
  readonly at: number;
  readonly expire: () => void;
}

/**
 * Deadlines of one length under one timer: they expire in the order in which they began, so that an operation costs
 * no timer of its own. Holds what began within the last `lengthMs`. Real time, whatever the cache's clock says: it is
 * about the network.
 */
export class Deadlines {
  #pending: Pending[] = [];
  #first = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly lengthMs: number) {}

  /** Calls `expire` after `lengthMs`, unless `isOver` was set on the result by then. */
  begin(expire: () => void): Deadline {
    const pending: Pending = { isOver: false, at: performance.now() + this.lengthMs, expire };
    this.#dropOver();
    this.#pending.push(pending);
    if (!this.#timer) this.#arm(this.lengthMs);
    return pending;
  }

  #dropOver(): void {
    while (this.#pending[this.#first]?.isOver) this.#first++;
    if (this.#first < 1024 && this.#first < this.#pending.length) return;
    this.#pending = this.#pending.slice(this.#first);
    this.#first = 0;
  }

  #arm(delayMs: number, isGrace = false): void {
    const due = performance.now() + delayMs;
    this.#timer = setTimeout(() => this.#onTimer(due, isGrace), Math.ceil(delayMs));
    this.#timer.unref();
  }

  /**
   * When this process stood still itself (a long computation, a machine with too much to do), the server is not to blame
   * yet: what it answered meanwhile waits to be read, and what was asked last may not even have been sent. So nothing
   * expires before one short grace.
   */
  #onTimer(due: number, isGrace: boolean): void {
    if (!isGrace && performance.now() - due > LATE_MS) this.#arm(GRACE_MS, true);
    // Once more, answers that have arrived come first.
    else setImmediate(() => this.#expireDue());
  }

  #expireDue(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (
      let next = this.#pending[this.#first];
      next && (next.isOver || next.at <= now);
      next = this.#pending[this.#first]
    ) {
      this.#first++;
      if (!next.isOver) next.expire();
    }
    this.#dropOver();
    const next = this.#pending[this.#first];
    if (next && !this.#timer) this.#arm(next.at - now);
  }
}
