import { toMs, type Duration } from '../duration.js';
import { describe, InvalidOptionsError } from '../errors.js';
import { checkKnown } from '../known-options.js';
import type { EvictionRule } from './eviction-rule.js';

/** For `timeToLive`. */
export interface TimeToLiveOptions {
  /** No entry is kept longer than this after it was stored, whatever TTL it was given, sliding and grace included. */
  readonly max: Duration;
}

/**
 * Caps the age of entries. Every entry's own TTL is kept without any rule; this is a limit above all of them, for example
 * against sliding entries that would live for ever. Without options it adds nothing: the name is for those who come from
 * caches where expiry is a rule.
 */
export function timeToLive(options?: TimeToLiveOptions): EvictionRule {
  if (options !== undefined) checkKnown('timeToLive', options, ['max']);
  const maxAgeMs = options === undefined ? Infinity : toMs(options.max, 'timeToLive: max');
  if (maxAgeMs === 0)
    throw new InvalidOptionsError(
      `timeToLive: max must be above 0, got ${describe(options?.max)}.`,
    );
  const rule: EvictionRule = { name: 'time-to-live', maxAgeMs, fresh: () => rule };
  return rule;
}
