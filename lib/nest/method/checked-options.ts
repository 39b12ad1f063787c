import { toMs, type Duration } from '../../core/duration.js';
import { describe, InvalidOptionsError } from '../../core/errors.js';
import { fraction } from '../../core/load-settings.js';
import { compileTemplate } from './key-template.js';
import type {
  CacheableOptions,
  CacheConfigOptions,
  CacheEvictOptions,
  CachePutOptions,
  Operation,
} from './operation-options.js';

const COMMON = ['name', 'scope', 'key', 'keyGenerator', 'condition', 'cache', 'onMissingScope'];
const PUT = [
  ...COMMON,
  'type',
  'skipNear',
  'skipFar',
  'ttl',
  'sliding',
  'tags',
  'unless',
  'grace',
  'jitter',
];
const LOADING = [
  'softTimeout',
  'hardTimeout',
  'graceThrottle',
  'refreshAhead',
  'earlyExpiration',
  'lease',
  'errorTtl',
];
const CACHEABLE = [...PUT, ...LOADING, 'vary', 'query'];
const EVICT = [...COMMON, 'tags', 'allEntries', 'beforeInvocation'];
const CONFIG = ['name', 'scope', 'ttl', 'cache', 'keyGenerator', 'onMissingScope'];

const DURATIONS = [
  'ttl',
  'grace',
  'softTimeout',
  'hardTimeout',
  'graceThrottle',
  'lease',
  'errorTtl',
];
const FUNCTIONS = ['condition', 'unless', 'type'];
const FLAGS = ['sliding', 'allEntries', 'beforeInvocation', 'skipNear', 'skipFar'];
const FRACTIONS = ['jitter', 'refreshAhead'];
/** Entries have up to 64; a few are taken by names and variants. */
const TAGS_MAX = 60;
const LISTS = ['vary', 'query'];

/**
 * An operation, checked once, where the decorator is written.
 * @throws InvalidOptionsError or InvalidDurationError naming decorator and option
 */
export function checkedCacheable(options: CacheableOptions): Operation {
  return { kind: 'cacheable', options: check(options, CACHEABLE, 'Cacheable', true) };
}

/** See {@link checkedCacheable}. */
export function checkedPut(options: CachePutOptions): Operation {
  return { kind: 'put', options: check(options, PUT, 'CachePut', false) };
}

/** See {@link checkedCacheable}. */
export function checkedEvict(options: CacheEvictOptions): Operation {
  return {
    kind: 'evict',
    options: check(options, EVICT, 'CacheEvict', options?.beforeInvocation === true),
  };
}

/** See {@link checkedCacheable}. */
export function checkedConfig(options: CacheConfigOptions): CacheConfigOptions {
  return check(options, CONFIG, 'CacheConfig', false);
}

function check<T extends object>(
  options: T,
  known: readonly string[],
  decorator: string,
  isBefore: boolean,
): T {
  if (options === null || typeof options !== 'object' || Array.isArray(options))
    throw new InvalidOptionsError(
      `@${decorator}: expected an object of options, got ${describe(options)}.`,
    );
  if (isPrototype(options))
    throw new InvalidOptionsError(`@${decorator} is written with parentheses: @${decorator}().`);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    if (!known.includes(name))
      throw new InvalidOptionsError(
        `@${decorator}: unknown option "${name}". Known: ${known.join(', ')}.`,
      );
    checkOne(name, value, decorator);
  }
  const checked = Object.fromEntries(given) as Record<string, unknown>;
  if (checked['key'] !== undefined && checked['keyGenerator'] !== undefined)
    throw new InvalidOptionsError(`@${decorator}: give "key" or "keyGenerator", not both.`);
  if (typeof checked['key'] === 'string')
    checked['key'] = template(checked['key'], decorator, isBefore);
  return Object.freeze(checked) as T;
}

function template(key: string, decorator: string, isBefore: boolean): unknown {
  if (key === '')
    throw wrong(decorator, 'key', 'a template of at least one character, or a function', key);
  if (isBefore && /(?<!\{)\{\s*result\b/.test(key))
    throw wrong(
      decorator,
      'key',
      'a template without {result}, which does not exist yet when the key is needed',
      key,
    );
  return compileTemplate(key);
}

function checkOne(name: string, value: unknown, decorator: string): void {
  if (DURATIONS.includes(name) && typeof value !== 'function')
    toMs(value as Duration, `@${decorator}: ${name}`);
  else if (FRACTIONS.includes(name)) fraction(value as number, `@${decorator}: ${name}`);
  else if (FUNCTIONS.includes(name) && typeof value !== 'function')
    throw wrong(decorator, name, 'a function', value);
  else if (name === 'type' && isClass(value))
    throw wrong(
      decorator,
      name,
      `a function that names the class, as in () => ${value.name}`,
      value,
    );
  else if (FLAGS.includes(name) && typeof value !== 'boolean')
    throw wrong(decorator, name, 'true or false', value);
  else if (LISTS.includes(name) && !isNames(value))
    throw wrong(decorator, name, 'a list of names', value);
  else if (name === 'key' && typeof value !== 'string' && typeof value !== 'function')
    throw wrong(decorator, name, 'a template or a function', value);
  else if (
    name === 'name' &&
    !isName(value) &&
    !(isNames(value) && (value as unknown[]).length > 0)
  )
    throw wrong(decorator, name, 'a string of at least one character, or a list of such', value);
  else if (name === 'tags' && typeof value !== 'function' && !isNames(value, TAGS_MAX))
    throw wrong(decorator, name, `a list of at most ${TAGS_MAX} strings, or a function`, value);
  else if (name === 'scope' && !['string', 'object', 'function'].includes(typeof value))
    throw wrong(decorator, name, '"global", a level, ids by level or a function', value);
  else if (name === 'onMissingScope' && value !== 'bypass' && value !== 'throw')
    throw wrong(decorator, name, `'bypass' or 'throw'`, value);
  else if (name === 'cache' && !isName(value))
    throw wrong(decorator, name, 'the name of a cache', value);
}

/** What a decorator without parentheses gets. */
function isPrototype(options: object): boolean {
  return (
    Object.hasOwn(options, 'constructor') &&
    (options.constructor as { prototype?: object }).prototype === options
  );
}

function isClass(value: unknown): value is { readonly name: string } {
  return /^class\b/.test(Function.prototype.toString.call(value));
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isNames(value: unknown, most = Infinity): boolean {
  return Array.isArray(value) && value.length <= most && value.every(isName);
}

function wrong(
  decorator: string,
  name: string,
  expected: string,
  got: unknown,
): InvalidOptionsError {
  return new InvalidOptionsError(
    `@${decorator}: ${name}: expected ${expected}; got ${describe(got)}.`,
  );
}
