import type { LoadingOptions, LoadOptions, SetOptions, TierOptions } from './cache-options.js';
import { toMs } from './duration.js';
import { describe, InvalidKeyError, InvalidOptionsError } from './errors.js';
import { byteLengthExceeds, KEY_BYTES_MAX } from './limits.js';
import type { WriteOptions } from './storage.js';

/** How an entry is kept, in checked units. */
export interface KeepSettings {
  readonly ttlMs: number;
  readonly graceMs: number;
  readonly sliding: boolean;
  readonly tags: readonly string[];
  readonly jitter: number;
  readonly tiers: WriteOptions | undefined;
}

/** How an entry is kept and loaded, in checked units. `Infinity` stands for "no limit". */
export interface LoadSettings extends KeepSettings {
  readonly softMs: number;
  readonly hardMs: number;
  readonly throttleMs: number;
  readonly leaseMs: number;
  readonly errorTtlMs: number;
  /** Fraction of the TTL, or `undefined` for off. */
  readonly refreshAhead: number | undefined;
  readonly earlyExpiration: number | undefined;
}

const NO_TAGS: readonly string[] = Object.freeze([]);
const TAGS_MAX = 64;

/** The cache-wide defaults of loading, from the `ttl` and `loading` options. */
export function defaultSettings(ttlMs: number, loading: LoadingOptions): LoadSettings {
  const base: LoadSettings = {
    ttlMs,
    graceMs: 0,
    sliding: false,
    tags: NO_TAGS,
    jitter: 0,
    tiers: undefined,
    softMs: Infinity,
    hardMs: Infinity,
    throttleMs: 1_000,
    leaseMs: 10_000,
    errorTtlMs: 0,
    refreshAhead: undefined,
    earlyExpiration: undefined,
  };
  return withLoading(base, loading);
}

/** The settings of one `set`. */
export function keepSettings(
  defaults: LoadSettings,
  options: SetOptions | undefined,
): KeepSettings {
  return options === undefined ? defaults : withKeeping(defaults, options);
}

/** The settings of one `getOrSet`. Returns `defaults` itself when the call names nothing of its own. */
export function loadSettings(
  defaults: LoadSettings,
  options: LoadOptions | undefined,
): LoadSettings {
  return options === undefined ? defaults : withLoading(withKeeping(defaults, options), options);
}

function withKeeping(base: LoadSettings, options: SetOptions): LoadSettings {
  if (
    options.ttl === undefined &&
    options.tags === undefined &&
    options.sliding === undefined &&
    options.grace === undefined &&
    options.jitter === undefined &&
    options.skipNear === undefined &&
    options.skipFar === undefined
  )
    return base;
  // Field by field, here and below: every hit with options of its own comes through here, and a spread costs several times as much.
  return {
    ttlMs: options.ttl === undefined ? base.ttlMs : toMs(options.ttl, 'ttl'),
    graceMs: options.grace === undefined ? base.graceMs : toMs(options.grace, 'grace'),
    sliding: flag(options.sliding, 'sliding') ?? base.sliding,
    tags: options.tags === undefined ? base.tags : checkedTags(options.tags),
    jitter: fraction(options.jitter, 'jitter') ?? base.jitter,
    tiers: tiersOf(options),
    softMs: base.softMs,
    hardMs: base.hardMs,
    throttleMs: base.throttleMs,
    leaseMs: base.leaseMs,
    errorTtlMs: base.errorTtlMs,
    refreshAhead: base.refreshAhead,
    earlyExpiration: base.earlyExpiration,
  };
}

/** The tags of an entry, copied, frozen (they are handed out with it), without repetition. Throws InvalidKeyError for bad ones. */
export function checkedTags(tags: readonly string[]): readonly string[] {
  const names = tagNames(tags);
  if (names.length > TAGS_MAX)
    throw new InvalidKeyError(`tags: at most ${TAGS_MAX} on one entry, got ${names.length}.`);
  return Object.freeze(names);
}

/** Tags to evict, however many, in groups no larger than the tags of one entry. Throws InvalidKeyError for bad ones. */
export function tagGroups(tags: readonly string[]): readonly (readonly string[])[] {
  const names = tagNames(tags);
  const groups: string[][] = [];
  for (let from = 0; from < names.length; from += TAGS_MAX)
    groups.push(names.slice(from, from + TAGS_MAX));
  return groups;
}

function tagNames(tags: readonly string[]): string[] {
  if (!Array.isArray(tags))
    throw new InvalidKeyError(`tags: expected a list of strings, got ${describe(tags)}.`);
  for (const tag of tags as readonly unknown[]) {
    if (typeof tag !== 'string' || tag === '')
      throw new InvalidKeyError(
        `tags: each is a string of at least one character, got ${describe(tag)}.`,
      );
    if (byteLengthExceeds(tag, KEY_BYTES_MAX))
      throw new InvalidKeyError('tags: one is longer than 64 kB.');
  }
  return tags.length > 1 ? [...new Set(tags as string[])] : [...(tags as string[])];
}

/** A life with its random part: between `ttlMs * (1 - jitter)` and `ttlMs * (1 + jitter)`, at least 1 ms. */
export function jittered(ttlMs: number, jitter: number, random: () => number): number {
  if (jitter === 0 || ttlMs === 0 || ttlMs === Infinity) return ttlMs;
  return Math.max(1, Math.round(ttlMs * (1 + jitter * (2 * random() - 1))));
}

function withLoading(base: LoadSettings, loading: LoadingOptions): LoadSettings {
  if (
    loading.softTimeout === undefined &&
    loading.hardTimeout === undefined &&
    loading.graceThrottle === undefined &&
    loading.refreshAhead === undefined &&
    loading.earlyExpiration === undefined &&
    loading.lease === undefined &&
    loading.errorTtl === undefined &&
    loading.grace === undefined &&
    loading.jitter === undefined
  )
    return base;
  return {
    ttlMs: base.ttlMs,
    sliding: base.sliding,
    tags: base.tags,
    tiers: base.tiers,
    graceMs: loading.grace === undefined ? base.graceMs : toMs(loading.grace, 'grace'),
    jitter: fraction(loading.jitter, 'jitter') ?? base.jitter,
    softMs:
      loading.softTimeout === undefined ? base.softMs : toMs(loading.softTimeout, 'softTimeout'),
    hardMs: positive(loading.hardTimeout, 'hardTimeout') ?? base.hardMs,
    throttleMs:
      loading.graceThrottle === undefined
        ? base.throttleMs
        : toMs(loading.graceThrottle, 'graceThrottle'),
    leaseMs: positive(loading.lease, 'lease') ?? base.leaseMs,
    errorTtlMs:
      loading.errorTtl === undefined ? base.errorTtlMs : toMs(loading.errorTtl, 'errorTtl'),
    refreshAhead: fraction(loading.refreshAhead, 'refreshAhead') ?? base.refreshAhead,
    earlyExpiration: factor(loading.earlyExpiration) ?? base.earlyExpiration,
  };
}

function tiersOf(options: TierOptions): WriteOptions | undefined {
  return options.skipNear === undefined && options.skipFar === undefined
    ? undefined
    : {
        skipNear: flag(options.skipNear, 'skipNear') ?? false,
        skipFar: flag(options.skipFar, 'skipFar') ?? false,
      };
}

/** @throws InvalidOptionsError for what is no boolean: `'no'` would count as yes, or `'yes'` as no */
export function flag(value: boolean | undefined, name: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw new InvalidOptionsError(`${name}: expected true or false, got ${describe(value)}.`);
}

function positive(duration: LoadingOptions['lease'], name: string): number | undefined {
  if (duration === undefined) return undefined;
  const ms = toMs(duration, name);
  if (ms === 0)
    throw new InvalidOptionsError(
      `${name}: expected a duration above 0, got ${describe(duration)}.`,
    );
  return ms;
}

/** @throws InvalidOptionsError for what is no number from 0 to 1 */
export function fraction(value: number | undefined, name: string): number | undefined {
  if (value === undefined || (typeof value === 'number' && value >= 0 && value <= 1)) return value;
  throw new InvalidOptionsError(`${name}: expected a number from 0 to 1, got ${describe(value)}.`);
}

function factor(value: number | undefined): number | undefined {
  if (value === undefined || (typeof value === 'number' && value >= 0 && value !== Infinity))
    return value;
  throw new InvalidOptionsError(
    `earlyExpiration: expected a number from 0 up, got ${describe(value)}.`,
  );
}
