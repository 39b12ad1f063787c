import type { Clock } from '../../core/clock.js';
import type { Client } from './redis-options.js';

/** From one sample to the next: few samples at first leave little to chance, see {@link ServerClock}. */
const RESAMPLE_MS = { first: 1_000, most: 30_000 } as const;
/** How far two clocks drift apart in a ms at most: more than NTP slews, or crystals differ. */
const DRIFT = 0.000_5;

/** How far the server's clock is ahead of ours: between these two, as of `at`. */
interface Range {
  readonly lowMs: number;
  readonly highMs: number;
  readonly at: number;
}

/**
 * The server's time, from the host's monotonic clock and an offset measured now and then. All processes write and judge
 * times of entries on this scale, so no two application machines' clocks are ever compared.
 *
 * A sample says between which two values the offset lies, as far apart as its round trip took; what several of them agree on is
 * narrower. So one answer that was late, because a machine was busy, does not move the lives of all entries (P7).
 */
export class ServerClock {
  #offsetMs: number;
  #range: Range | undefined;
  #dueAt = -Infinity;
  #pauseMs: number = RESAMPLE_MS.first;
  #isSampling = false;
  #connection = 0;

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

  /**
   * Whether it is time for {@link sample}.
   * @param connection how often it has been made: another server may answer after each time
   */
  isDue(connection: number): boolean {
    if (connection !== this.#connection) {
      this.#connection = connection;
      this.#range = undefined;
      this.#pauseMs = RESAMPLE_MS.first;
      this.#dueAt = -Infinity;
    }
    return !this.#isSampling && this.clock.monotonic() >= this.#dueAt;
  }

  /** One TIME. */
  async sample(send: <T>(start: () => Promise<T>) => Promise<T>, client: Client): Promise<void> {
    this.#isSampling = true;
    try {
      const before = this.clock.monotonic();
      const [seconds, micros] = await send(() => client.time());
      const after = this.clock.monotonic();
      const serverMs = Number(seconds) * 1000 + Number(micros) / 1000;
      // Our clock counts whole ms: it may have been almost one more.
      this.#learn({ lowMs: serverMs - after - 1, highMs: serverMs - before, at: after });
      this.#dueAt = after + this.#pauseMs;
      this.#pauseMs = Math.min(RESAMPLE_MS.most, this.#pauseMs * 2);
    } finally {
      this.#isSampling = false;
    }
  }

  #learn(sampled: Range): void {
    const known = this.#range && widened(this.#range, sampled.at);
    const lowMs = Math.max(sampled.lowMs, known?.lowMs ?? -Infinity);
    const highMs = Math.min(sampled.highMs, known?.highMs ?? Infinity);
    // Nothing agrees: another server answers, or somebody has set a clock.
    this.#range = lowMs <= highMs ? { lowMs, highMs, at: sampled.at } : sampled;
    // Whole ms: fractions would be longer in every index and an allocation for every time of an entry.
    this.#offsetMs = Math.round((this.#range.lowMs + this.#range.highMs) / 2);
  }
}

function widened({ lowMs, highMs, at }: Range, now: number): Range {
  const driftMs = (now - at) * DRIFT;
  return { lowMs: lowMs - driftMs, highMs: highMs + driftMs, at: now };
}
