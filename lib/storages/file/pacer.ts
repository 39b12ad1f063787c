import type { Clock } from '../../core/clock.js';

/** Time spent on records before others have their turn. */
const SLICE_MS = 2;

/** To be awaited between pieces of work: resolves at once until a slice of time is used up, then after everybody else had a turn. */
export function pacer(clock: Clock): () => Promise<void> | undefined {
  let since = clock.monotonic();
  return () => {
    if (clock.monotonic() - since < SLICE_MS) return undefined;
    return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      since = clock.monotonic();
    });
  };
}
