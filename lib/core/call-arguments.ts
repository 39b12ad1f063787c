import { isClassless, type CacheKey } from './cache-key.js';
import { describe, InvalidKeyError, InvalidOptionsError, typeInWords } from './errors.js';

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

/** The ids of `runInScope`: none at all would leave the work with those of the request, if there is one. */
export function checkIds(given: unknown): void {
  if (typeof given !== 'object' || given === null)
    throw new InvalidOptionsError(
      `runInScope: expected ids by level such as { org: 'o1' }, got ${describe(given)}.`,
    );
}

/** The keys of a bulk call. */
export function checkKeys(given: unknown): void {
  if (!Array.isArray(given))
    throw new InvalidKeyError(`keys: expected a list of keys, got ${describe(given)}.`);
}

/** What `setMany` stores. A pair of more or fewer than two would lose a TTL that was meant, or store `undefined`. */
export function checkedPairs<T>(
  given: Iterable<readonly [CacheKey, T]> | Readonly<Record<string, T>>,
): readonly (readonly [CacheKey, T])[] {
  if (typeof given !== 'object' || given === null) throw noPairs(given);
  if (!(Symbol.iterator in given)) {
    // Of a promise or a date, nothing would be stored.
    if (!isClassless(given)) throw noPairs(given);
    return Object.entries(given);
  }
  const pairs = [...(given as Iterable<readonly [CacheKey, T]>)];
  for (const pair of pairs as unknown[])
    if (!Array.isArray(pair) || pair.length !== 2) throw noPairs(pair);
  return pairs;
}

function noPairs(given: unknown): InvalidOptionsError {
  return new InvalidOptionsError(
    `setMany: expected pairs [key, value], or an object, got ${typeInWords(given)}. Options such as ttl are the second argument, for all of them.`,
  );
}
