import type { Awaitable } from '../../core/storage.js';
import type { Deadlines } from './deadlines.js';

/** What one operation may wait for the server in all, however many commands it sends. Begins when it is made. */
export class Budget {
  #endsAt: number;

  constructor(readonly deadlines: Deadlines) {
    this.#endsAt = deadlines.now() + deadlines.lengthMs;
  }

  /** In ms; 0 or less when it is spent. */
  get leftMs(): number {
    return this.deadlines.effective(this.#endsAt) - this.deadlines.now();
  }

  /** Stands still while the caller's own code runs. */
  async pauseFor<T>(work: () => Awaitable<T>): Promise<T> {
    const start = this.deadlines.now();
    try {
      return await work();
    } finally {
      this.#endsAt += this.deadlines.now() - start;
    }
  }
}
