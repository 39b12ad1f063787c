const TICK_MS = 10;
/** A tick this late is a stall rather than a timer's usual unpunctuality. */
const LATE_MS = 5;

/** For how long this process stood still, so that a call is not blamed for the machine that runs it. */
export class Stalls {
  #totalMs = 0;
  #lastTick = performance.now();
  readonly #timer = setInterval(() => this.#tick(), TICK_MS);

  /** Since the beginning, the stall that is just ending included. */
  soFarMs(): number {
    return this.#totalMs + this.#lateMs();
  }

  /** Begins to count: how long it has been, and how much of that this process did not stand still itself. */
  stopwatch(): () => { readonly tookMs: number; readonly waitedMs: number } {
    const [since, stalled] = [performance.now(), this.soFarMs()];
    return () => {
      const tookMs = performance.now() - since;
      return { tookMs, waitedMs: tookMs - (this.soFarMs() - stalled) };
    };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    this.#totalMs += this.#lateMs();
    this.#lastTick = performance.now();
  }

  #lateMs(): number {
    const lateMs = performance.now() - this.#lastTick - TICK_MS;
    return lateMs > LATE_MS ? lateMs : 0;
  }
}
