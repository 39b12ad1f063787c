import type { Clock } from '../core/clock.js';

interface Timer {
  readonly due: number;
  readonly task: () => void;
}

/** A clock that stands still until it is told to move. Timers fire in the order of their times, each at its own time. */
export class ManualClock implements Clock {
  #monotonic = 0;
  #wallOffset: number;
  readonly #timers = new Set<Timer>();

  /** @param wallStart what `now()` says at first, in ms since the epoch */
  constructor(wallStart = 1_700_000_000_000) {
    this.#wallOffset = wallStart;
  }

  now(): number {
    return this.#wallOffset + this.#monotonic;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { due: this.#monotonic + Math.max(0, delayMs), task };
    if (delayMs !== Infinity) this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers waiting. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves both times on by `ms` and fires what falls due, without letting promises run in between. */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    for (let next = this.#next(end); next; next = this.#next(end)) this.#fire(next);
    this.#monotonic = end;
  }

  /** {@link advance}, letting promise callbacks run after each timer and at the end. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await settle();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#fire(next);
      await settle();
    }
    this.#monotonic = end;
    await settle();
  }

  /** Moves only the wall clock, as an administrator or NTP would. Monotonic time stays. */
  jumpWallClock(ms: number): void {
    this.#wallOffset += ms;
  }

  #next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers)
      if (timer.due <= end && (!first || timer.due < first.due)) first = timer;
    return first;
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer);
    this.#monotonic = Math.max(this.#monotonic, timer.due);
    timer.task();
  }
}

/** Lets promise callbacks run; enough turns for chains as long as the cache's own. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}
