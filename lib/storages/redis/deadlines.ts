/** Something with a deadline. Set `isOver` when it has ended. */
export interface Deadline {
  isOver: boolean;
  /** When it ends, on the scale of {@link Deadlines.now}; later after a pause of this process, see {@link Deadlines.effective}. */
  readonly at: number;
}

/** A timer that fires later than this by so much tells of a pause of the process. */
const LATE_MS = 20;
const GRACE_MS = 50;

interface Pending extends Deadline {
  readonly expire: () => void;
}

/**
 * Deadlines under one timer, so that an operation costs no timer of its own: nearly all have the same length, and expire
 * in the order in which they began. Holds what began within the last `lengthMs`. Real time, whatever the cache's clock
 * says: it is about the network.
 */
export class Deadlines {
  #pending: Pending[] = [];
  #first = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = 0;
  /** Until then nothing expires, because this process stood still. */
  #graceUntil = 0;

  constructor(readonly lengthMs: number) {}

  /** Calls `expire` after `lengthMs`, unless `isOver` was set on the result by then. */
  begin(expire: () => void, lengthMs = this.lengthMs): Deadline {
    const pending: Pending = { isOver: false, at: performance.now() + lengthMs, expire };
    this.#dropOver();
    this.#insert(pending);
    if (!this.#timer || (pending.at < this.#due && this.#due > this.#graceUntil))
      this.#arm(lengthMs);
    return pending;
  }

  /** Milliseconds on the scale of `performance.now()`, as everywhere here. */
  now(): number {
    return performance.now();
  }

  /** When something that should end at `at` will be ended. */
  effective(at: number): number {
    return Math.max(at, this.#graceUntil);
  }

  /** Behind those that end sooner: at the end, but for the rest of a budget. */
  #insert(pending: Pending): void {
    let index = this.#pending.length;
    while (index > this.#first && this.#pending[index - 1]!.at > pending.at) index--;
    if (index === this.#pending.length) this.#pending.push(pending);
    else this.#pending.splice(index, 0, pending);
  }

  #dropOver(): void {
    while (this.#pending[this.#first]?.isOver) this.#first++;
    if (this.#first < 1024 && this.#first < this.#pending.length) return;
    this.#pending = this.#pending.slice(this.#first);
    this.#first = 0;
  }

  #arm(delayMs: number, isGrace = false): void {
    clearTimeout(this.#timer);
    const due = performance.now() + delayMs;
    this.#due = due;
    this.#timer = setTimeout(() => this.#onTimer(due, isGrace), Math.ceil(delayMs));
    this.#timer.unref();
  }

  /**
   * When this process stood still itself (a long computation, a machine with too much to do), the server is not to blame
   * yet: what it answered meanwhile waits to be read, and what was asked last may not even have been sent. So nothing
   * expires before one short grace.
   */
  #onTimer(due: number, isGrace: boolean): void {
    const now = performance.now();
    if (!isGrace && now - due > LATE_MS) {
      this.#graceUntil = now + GRACE_MS;
      this.#arm(GRACE_MS, true);
    }
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
    if (next && (!this.#timer || next.at < this.#due)) this.#arm(next.at - now);
  }
}
