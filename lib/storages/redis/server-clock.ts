import type { Clock } from '../../core/clock.js';

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
 * narrower. While what is known allows the offset that is in use, it stays: one answer that was late, because a machine was busy,
 * moves the lives of no entries (P7). The first offset is what the host's own clock says, which is right where that is in step.
 */
export class ServerClock {
  #offsetMs: number;
  #range: Range | undefined;
  #dueAt = -Infinity;
  #pauseMs: number = RESAMPLE_MS.first;
  #isSampling = false;
  #connection = 0;
  #server = '';

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
   * @param server which one answers, of a Cluster: all processes go by the same one, so that the others' clocks do not matter
   */
  isDue(connection: number, server: string): boolean {
    if (connection !== this.#connection || server !== this.#server) {
      this.#connection = connection;
      this.#server = server;
      this.#range = undefined;
      this.#pauseMs = RESAMPLE_MS.first;
      this.#dueAt = -Infinity;
    }
    return !this.#isSampling && this.clock.monotonic() >= this.#dueAt;
  }

  /**
   * @param ask one TIME: seconds, and microseconds of the second. Told when it is sent, as it may have to wait for a connection
   * @throws what `ask` throws, by rejecting; then it is due again after a while
   */
  async sample(ask: (onSent: () => void) => Promise<readonly [string, string]>): Promise<void> {
    this.#isSampling = true;
    this.#dueAt = this.clock.monotonic() + RESAMPLE_MS.first;
    const [connection, server] = [this.#connection, this.#server];
    try {
      let before = this.clock.monotonic();
      const [seconds, micros] = await ask(() => (before = this.clock.monotonic()));
      const after = this.clock.monotonic();
      // Another server may have answered by now.
      if (connection !== this.#connection || server !== this.#server) return;
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
    const { lowMs: least, highMs: most } = this.#range;
    if (this.#offsetMs >= Math.floor(least) && this.#offsetMs <= Math.ceil(most)) return;
    // Whole ms: fractions would be longer in every index and an allocation for every time of an entry.
    this.#offsetMs = Math.round((least + most) / 2);
  }
}

function widened({ lowMs, highMs, at }: Range, now: number): Range {
  const driftMs = (now - at) * DRIFT;
  return { lowMs: lowMs - driftMs, highMs: highMs + driftMs, at: now };
}
