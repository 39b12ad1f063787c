import type { Clock } from '../../core/clock.js';
import type { Client } from './redis-options.js';

const RESAMPLE_MS = 30_000;

/**
 * The server's time, from the host's monotonic clock and an offset measured now and then. All processes write and judge
 * times of entries on this scale, so no two application machines' clocks are ever compared.
 */
export class ServerClock {
  #offsetMs: number;
  #sampledAt = -Infinity;
  #isSampling = false;

  constructor(readonly clock: Clock) {
    this.#offsetMs = clock.now() - clock.monotonic();
  }

  /** Milliseconds since the epoch, as the server sees it. */
  now(): number {
    return this.clock.monotonic() + this.#offsetMs;
  }

  toMonotonic(serverMs: number): number {
    return serverMs - this.#offsetMs;
  }

  /** Whether it is time for {@link sample}. */
  get isDue(): boolean {
    return !this.#isSampling && this.clock.monotonic() - this.#sampledAt > RESAMPLE_MS;
  }

  /** One TIME; half the round trip is taken to be the way back. */
  async sample(send: <T>(start: () => Promise<T>) => Promise<T>, client: Client): Promise<void> {
    this.#isSampling = true;
    try {
      const before = this.clock.monotonic();
      const [seconds, micros] = await send(() => client.time());
      const after = this.clock.monotonic();
      // Whole ms: fractions would be longer in every index and an allocation for every time of an entry.
      const serverMs = Number(seconds) * 1000 + Number(micros) / 1000;
      this.#offsetMs = Math.round(serverMs - (before + after) / 2);
      this.#sampledAt = after;
    } finally {
      this.#isSampling = false;
    }
  }
}
