/**
 * The only source of time. Expiry is judged on `monotonic()`, which wall-clock jumps do not move (P7);
 * `now()` is for times shown to people or shared with other processes.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump. */
  now(): number;
  /** Milliseconds since an arbitrary start. Never goes back. May be fractional. */
  monotonic(): number;
  /**
   * Runs `task` once after `delayMs`; returns a function that calls it off.
   * The timer never keeps the process alive (P17). Delays above 2^31-1 ms are honoured.
   */
  after(delayMs: number, task: () => void): () => void;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The machine's clocks. Timers are unref'd where the platform has that. */
export const systemClock: Clock = {
  now: () => Date.now(),
  // Whole milliseconds fit a machine word, where fractions would cost an allocation for each time that an entry keeps.
  monotonic: () => Math.trunc(performance.now()),
  after(delayMs, task) {
    let handle: ReturnType<typeof setTimeout>;
    const arm = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, LONGEST_TIMER_MS);
      handle = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : task()), stepMs);
      (handle as { unref?: () => void }).unref?.();
    };
    if (delayMs !== Infinity) arm(Math.max(0, delayMs));
    return () => clearTimeout(handle);
  },
};

/** Resolves after `delayMs` on `clock`. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}
