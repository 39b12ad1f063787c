import type { Clock } from '../core/clock.js';
import type { Platform } from '../core/storage.js';
import { nodePlatform } from '../platform/node-platform.js';
import { ManualClock } from './manual-clock.js';

/**
 * Node.js's digests and randomness with a clock of the test's own, for `overrideProvider(CACHE_PLATFORM)` and for opening a
 * storage by hand.
 * @param clock default: a {@link ManualClock} at a standstill
 */
export function testPlatform<C extends Clock = ManualClock>(clock?: C): Platform & { clock: C } {
  return { ...nodePlatform, clock: clock ?? (new ManualClock() as Clock as C) };
}
