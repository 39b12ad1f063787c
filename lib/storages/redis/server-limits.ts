/** How far two clocks drift apart in a ms at most: more than NTP slews, or crystals differ. */
const DRIFT = 0.000_5;
/** A bound older than this is worth a new one. */
const FRESH_MS = 30_000;

interface Bound {
  /** The server's clock is ahead of ours by this much at least. `Infinity`: it does not tell. */
  readonly lowMs: number;
  readonly learnedAt: number;
}

/**
 * Until when a server may carry out what is sent to it, on its own clock. A write that was given up, and lay in the network or
 * before a server that stood still, would else put an old value over a later eviction (P5).
 *
 * Nothing has to be in step: what is kept is how far the server's clock is ahead of ours *at least*, from answers that
 * told its time. So a limit has passed there, at the latest, when the deadline that it was made from has passed here. A
 * clock that was set since is noticed by the next answer. All times in ms, ours on the scale of `performance.now()`.
 */
export class ServerLimits {
  /** By server: bounded by how many masters there are. */
  readonly #bounds = new Map<string, Bound>();
  #connection = 0;

  /**
   * The server's time that has surely passed when it is `at` here; `undefined` while nothing is known about the server,
   * `Infinity` when it does not tell its time.
   */
  limit(server: string, at: number): number | undefined {
    const bound = this.#bounds.get(server);
    return bound && Math.floor(at + this.#lowOf(bound, at));
  }

  isDue(server: string, now: number): boolean {
    const bound = this.#bounds.get(server);
    return bound !== undefined && now - bound.learnedAt > FRESH_MS;
  }

  /** The server's clock said `serverMs` at some time between `askedAt` and `answeredAt`. */
  learn(server: string, serverMs: number, askedAt: number, answeredAt: number): void {
    const bound = this.#bounds.get(server);
    const low = serverMs - answeredAt;
    const high = serverMs - askedAt;
    const known = bound ? this.#lowOf(bound, answeredAt) : -Infinity;
    // Beyond what is possible now, it was learned before somebody set a clock.
    const lowMs = known <= high ? Math.max(low, known) : low;
    this.#bounds.set(server, { lowMs, learnedAt: answeredAt });
  }

  /** The user has no right to ask for the time. */
  learnNothing(server: string, now: number): void {
    this.#bounds.set(server, { lowMs: Infinity, learnedAt: now });
  }

  /** After a reconnect: what answers now may be another server. */
  forgetBefore(connection: number): void {
    if (connection === this.#connection) return;
    this.#connection = connection;
    this.#bounds.clear();
  }

  #lowOf({ lowMs, learnedAt }: Bound, now: number): number {
    return lowMs - Math.max(0, now - learnedAt) * DRIFT;
  }
}
