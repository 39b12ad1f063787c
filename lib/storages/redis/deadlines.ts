/** Something with a deadline. Set `isOver` when it has ended. */
export interface Deadline {
  isOver: boolean;
}

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

  #arm(delayMs: number): void {
    // Answers that have arrived come first: a process that was busy itself must not blame the server.
    this.#timer = setTimeout(() => setImmediate(() => this.#expireDue()), Math.ceil(delayMs));
    this.#timer.unref();
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
