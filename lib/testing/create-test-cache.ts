import type { CacheOptions } from '../core/cache-options.js';
import { Cache } from '../core/cache.js';
import type { Clock } from '../core/clock.js';
import type { ScopeContext } from '../core/scope.js';
import type { Platform } from '../core/storage.js';
import { ManualClock } from './manual-clock.js';
import { mapStorage } from './map-storage.js';
import { testPlatform } from './test-platform.js';

/** What a test may replace. */
export interface TestSurroundings {
  /** Default: a {@link ManualClock} of its own, at a standstill. */
  readonly clock?: Clock;
  /** Default: Node.js's, with the clock above. */
  readonly platform?: Partial<Platform>;
  /** Where level names find their ids. Default: nowhere, so that only explicit ids work. */
  readonly context?: ScopeContext;
}

/**
 * A cache without Nest, for tests. Pass the storage under test as `options.storage`; without one, entries are kept by
 * {@link mapStorage}.
 */
export function createTestCache(
  options: CacheOptions = {},
  surroundings: TestSurroundings = {},
): Cache {
  const { clock = new ManualClock(), platform, context } = surroundings;
  return new Cache(options, { ...testPlatform(clock), ...platform }, context, () => mapStorage());
}
