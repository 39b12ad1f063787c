import { describe, InvalidKeyError, InvalidOptionsError } from './errors.js';

/** The names of all options that any call takes. */
const KNOWN: ReadonlySet<string> = new Set([
  'scope',
  'type',
  'default',
  'allowStale',
  'ttl',
  'sliding',
  'tags',
  'grace',
  'jitter',
  'skipNear',
  'skipFar',
  'softTimeout',
  'hardTimeout',
  'graceThrottle',
  'refreshAhead',
  'earlyExpiration',
  'lease',
  'errorTtl',
  'mustExist',
  'by',
  'match',
  'deep',
]);

/**
 * The options of one call. What compilers refuse arrives all the same from plain JavaScript and through `any`: a bare number
 * meant as TTL, or ids without `scope` around them, which would silently be the global scope (P3).
 */
export function checkOptions(given: unknown): void {
  if (typeof given !== 'object' || given === null)
    throw new InvalidOptionsError(
      `options: expected an object such as { ttl: 60 }, got ${describe(given)}.`,
    );
  for (const name in given)
    if (!KNOWN.has(name))
      throw new InvalidOptionsError(
        `options: unknown option ${describe(name)}. Known: ${[...KNOWN].join(', ')}. Ids of a scope go into { scope: { … } }.`,
      );
}

/** A loader, or the function of `update`. */
export function checkFunction(given: unknown, what: string): void {
  if (typeof given !== 'function')
    throw new InvalidOptionsError(`${what}: expected a function, got ${describe(given)}.`);
}

/** The keys of a bulk call. */
export function checkKeys(given: unknown): void {
  if (!Array.isArray(given))
    throw new InvalidKeyError(`keys: expected a list of keys, got ${describe(given)}.`);
}
