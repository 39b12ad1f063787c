import type { CacheOptions, LoadingOptions } from './cache-options.js';
import { toMs } from './duration.js';
import { describe, InvalidOptionsError } from './errors.js';
import type { EvictionRule } from './eviction/eviction-rule.js';
import { defaultSettings, type LoadSettings } from './load-settings.js';
import { byteLengthExceeds } from './limits.js';
import { ScopeTree } from './scope-tree.js';
import type { CacheListener } from './cache-listener.js';
import type { CacheStorage } from './storage.js';
import { ClassCodecs } from './value/class-codecs.js';
import { guardedSerializer } from './value/guarded-serializer.js';
import { richSerializer, type Serializer } from './value/serializer.js';
import type { Isolation } from './value/value-policy.js';

/** The options of a cache, checked and completed. The only home of defaults. */
export interface ResolvedOptions {
  readonly storage: CacheStorage;
  readonly scopes: ScopeTree;
  readonly defaults: LoadSettings;
  readonly namespace: string;
  readonly rules: readonly EvictionRule[];
  readonly codecs: ClassCodecs;
  readonly serializer: Serializer;
  readonly isolation: Isolation;
  readonly throws: boolean;
  readonly enabled: boolean;
  readonly storageTimeoutMs: number;
  readonly listener: CacheListener | undefined;
}

/** The option names, so that a misspelt one is an error rather than silently ignored. */
const KNOWN: readonly string[] = [
  'storage',
  'scopes',
  'ttl',
  'namespace',
  'rules',
  'serializer',
  'codecs',
  'isolation',
  'onStorageError',
  'enabled',
  'storageTimeout',
  'loading',
  'listener',
] satisfies (keyof CacheOptions)[];

const KNOWN_LOADING: readonly string[] = [
  'grace',
  'softTimeout',
  'hardTimeout',
  'graceThrottle',
  'refreshAhead',
  'earlyExpiration',
  'jitter',
  'lease',
  'errorTtl',
];

const HOOKS = [
  'onHit',
  'onMiss',
  'onWrite',
  'onRemoval',
  'onFault',
  'onRestore',
] satisfies (keyof CacheListener)[];

const NAMESPACE_BYTES_MAX = 200;

/**
 * Checks every option once.
 * @throws InvalidOptionsError or InvalidDurationError naming the option, what was expected and what came
 */
export function resolveOptions(
  options: CacheOptions,
  defaultStorage: () => CacheStorage,
): ResolvedOptions {
  if (options === null || typeof options !== 'object' || Array.isArray(options))
    throw new InvalidOptionsError(`Cache options: expected an object, got ${describe(options)}.`);
  for (const name of Object.keys(options))
    if (!KNOWN.includes(name))
      throw new InvalidOptionsError(
        KNOWN_LOADING.includes(name)
          ? `Unknown cache option "${name}": it belongs into "loading", as in { loading: { ${name}: … } }.`
          : `Unknown cache option "${name}". Known: ${KNOWN.join(', ')}.`,
      );
  const codecs = new ClassCodecs();
  for (const codec of checkedList(options.codecs, 'codecs')) codecs.register(codec);
  return Object.freeze({
    storage: checkedStorage(options.storage) ?? defaultStorage(),
    scopes: new ScopeTree(or(options.scopes, ['org', 'user', 'session'])),
    defaults: defaultSettings(toMs(or(options.ttl, '5m'), 'ttl'), checkedLoading(options.loading)),
    namespace: checkedNamespace(or(options.namespace, 'cache')),
    rules: checkedRules(checkedList(options.rules, 'rules')),
    codecs,
    serializer: checkedSerializer(options.serializer) ?? richSerializer(codecs),
    isolation: oneOf(or(options.isolation, 'clone'), ['clone', 'frozen', 'none'], 'isolation'),
    throws:
      oneOf(or(options.onStorageError, 'degrade'), ['degrade', 'throw'], 'onStorageError') ===
      'throw',
    enabled: checkedBoolean(or(options.enabled, true), 'enabled'),
    storageTimeoutMs: checkedTimeout(options.storageTimeout),
    listener: checkedListener(options.listener),
  });
}

function checkedLoading(loading: LoadingOptions | undefined): LoadingOptions {
  const given = checkedObject(loading, 'loading') ?? {};
  for (const name of Object.keys(given))
    if (!KNOWN_LOADING.includes(name))
      throw new InvalidOptionsError(
        `loading: unknown option "${name}". Known: ${KNOWN_LOADING.join(', ')}.`,
      );
  return given;
}

/** The default for what was left out. Not for `null`, which is a mistake: `enabled: null` hardly means true. */
function or<T>(given: T | undefined, fallback: T): T {
  return given === undefined ? fallback : given;
}

function checkedListener(listener: CacheListener | undefined): CacheListener | undefined {
  const given = checkedObject(listener, 'listener') as Record<string, unknown> | undefined;
  for (const hook of HOOKS)
    if (given?.[hook] !== undefined && typeof given[hook] !== 'function')
      throw wrong(`listener: ${hook}`, 'a function', given[hook]);
  return listener;
}

function checkedTimeout(timeout: CacheOptions['storageTimeout']): number {
  const ms = toMs(or(timeout, '250ms'), 'storageTimeout');
  if (ms === 0) throw wrong('storageTimeout', 'a duration above 0', timeout);
  return ms;
}

function checkedStorage(storage: CacheStorage | undefined): CacheStorage | undefined {
  if (storage === undefined) return undefined;
  const given = storage as unknown as Partial<Record<string, unknown>> | null;
  const isDriver =
    typeof given === 'object' && given !== null && typeof given['open'] === 'function';
  const isBasic =
    typeof given === 'object' &&
    given !== null &&
    ['get', 'set', 'delete', 'clear'].every((method) => typeof given[method] === 'function');
  if (!isDriver && !isBasic)
    throw wrong(
      'storage',
      'memoryStorage(), redisStorage(…) or an object with get, set, delete and clear',
      storage,
    );
  return storage;
}

function checkedNamespace(namespace: unknown): string {
  if (
    typeof namespace !== 'string' ||
    namespace === '' ||
    byteLengthExceeds(namespace, NAMESPACE_BYTES_MAX)
  )
    throw wrong('namespace', `a string of 1 to ${NAMESPACE_BYTES_MAX} bytes`, namespace);
  return namespace;
}

function checkedRules(rules: readonly EvictionRule[]): readonly EvictionRule[] {
  for (const rule of rules as readonly unknown[]) {
    const given = rule as Partial<Record<string, unknown>> | null;
    if (typeof given !== 'object' || given === null || typeof given['name'] !== 'string')
      throw wrong('rules', 'eviction rules, each an object with a name', rule);
    for (const hook of ['onGet', 'onSet', 'onEvict', 'onClear', 'fresh'])
      if (given[hook] !== undefined && typeof given[hook] !== 'function')
        throw wrong(`rules: ${given['name']}.${hook}`, 'a function', given[hook]);
  }
  return rules;
}

function checkedSerializer(serializer: Serializer | undefined): Serializer | undefined {
  if (serializer === undefined) return undefined;
  const given = serializer as Partial<Serializer> | null;
  if (typeof given?.serialize !== 'function' || typeof given.deserialize !== 'function')
    throw wrong('serializer', 'an object with serialize and deserialize', serializer);
  return guardedSerializer(serializer);
}

function checkedList<T>(list: readonly T[] | undefined, name: string): readonly T[] {
  if (list === undefined) return [];
  if (!Array.isArray(list)) throw wrong(name, 'a list', list);
  return [...list];
}

function checkedObject<T extends object>(value: T | undefined, name: string): T | undefined {
  if (value !== undefined && (typeof value !== 'object' || value === null || Array.isArray(value)))
    throw wrong(name, 'an object', value);
  return value;
}

function checkedBoolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw wrong(name, 'true or false', value);
  return value;
}

function oneOf<T extends string>(value: T, allowed: readonly T[], name: string): T {
  if (!allowed.includes(value)) throw wrong(name, allowed.map((a) => `'${a}'`).join(' or '), value);
  return value;
}

function wrong(name: string, expected: string, got: unknown): InvalidOptionsError {
  return new InvalidOptionsError(`${name}: expected ${expected}; got ${describe(got)}.`);
}
