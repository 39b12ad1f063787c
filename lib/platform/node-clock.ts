import { systemClock, type Clock } from '../core/clock.js';

/** Kept, because finding a global costs as much as a call. Fake timers put their functions on this very object. */
const machine = process;

/** Seconds are counted from here, so that times stay small: whole numbers up to 2^31 fit a machine word. */
const [START_SECONDS] = machine.hrtime();

/**
 * {@link systemClock}, with the same clock of the machine read by a shorter way: every hit asks for the time once, and
 * `performance.now()` makes a fifth of what a hit costs (docs/decisions/0012).
 */
export const nodeClock: Clock = {
  ...systemClock,
  monotonic() {
    const time = machine.hrtime();
    return (time[0] - START_SECONDS) * 1_000 + Math.trunc(time[1] * 1e-6);
  },
};
