import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Cache } from '../../lib/core/cache.js';
import type { CacheOptions } from '../../lib/core/cache-options.js';
import type { Clock } from '../../lib/core/clock.js';
import { systemClock } from '../../lib/core/clock.js';
import type { ScopeContext } from '../../lib/core/scope.js';
import type { Platform } from '../../lib/core/storage.js';
import { memoryStorage } from '../../lib/storages/memory/index.js';

/** A platform for tests: real digests and randomness, and the clock of the test. */
export function testPlatform(clock: Clock = systemClock): Platform {
  return {
    clock,
    digest: (text) => createHash('sha256').update(text).digest('hex'),
    checksum: (bytes) => crc32(bytes),
    randomToken: () => randomBytes(12).toString('hex'),
    random: () => Math.random(),
  };
}

/** A cache without Nest. */
export function makeCache(
  options: CacheOptions = {},
  clock?: Clock,
  context?: ScopeContext,
): Cache {
  return new Cache(options, testPlatform(clock), context, () => memoryStorage());
}
