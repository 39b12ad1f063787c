import type { Cluster, ClusterNode, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import { toMs, type Duration } from '../../core/duration.js';
import { describe, InvalidOptionsError } from '../../core/errors.js';
import { checkedCipher, type ValueCipher } from '../../core/value-cipher.js';

/** Either client of ioredis. */
export type Client = Redis | Cluster;

/** Smaller payloads for processor time. */
export interface CompressionOptions {
  /** Payloads of more bytes are deflated, where that makes them smaller. Default 1,024. */
  readonly aboveBytes?: number;
  /** A payload that would inflate to more bytes is not read: a miss, reported. Default 64 MiB. */
  readonly maxInflatedBytes?: number;
}

/** Options of `redisStorage`. Exactly one of `url`, `options`, `client`, `cluster` and `sentinel`. */
export interface RedisStorageOptions {
  /** `redis://`, `rediss://` or `unix://`; user, password and database as usual. */
  readonly url?: string;
  /** For a connection that this storage opens. What deadlines and fences rest on cannot be changed. */
  readonly options?: RedisOptions;
  /** A client of yours. It is used as it is, never closed, never reconfigured. */
  readonly client?: Redis | Cluster;
  /** Start nodes of a Cluster, and options for it. */
  readonly cluster?: { readonly nodes: readonly ClusterNode[]; readonly options?: ClusterOptions };
  /** `{ sentinels, name, … }` as ioredis takes them. */
  readonly sentinel?: RedisOptions;
  /** Starts every key, before the namespace. Up to 100 characters without braces. Default `'nsc'`. */
  readonly prefix?: string;
  /** How long an operation on one entry may take, however many commands it sends, before it counts as failed. Default `'250ms'`. */
  readonly timeout?: Duration;
  /** So many time-outs in a row on one server open its connection anew (ours only). Default 3. */
  readonly reconnectAfterTimeouts?: number;
  /** `ready()` rejects when the server cannot be reached at the start, instead of beginning degraded. Default `false`. */
  readonly failFast?: boolean;
  /** Default: none. `true` takes the defaults. */
  readonly compression?: boolean | CompressionOptions;
  /**
   * Seals values before they leave the process, for example `aes256Gcm({ keys, current })`. Names of keys and scopes stay
   * readable in the names of Redis keys. Entries that do not open are misses, and reported. Default: none.
   */
  readonly encryption?: ValueCipher;
}

/** Checked, with defaults. */
export interface ResolvedRedisOptions {
  readonly source: RedisStorageOptions;
  readonly prefix: string;
  readonly timeoutMs: number;
  readonly reconnectAfterTimeouts: number;
  readonly failFast: boolean;
  readonly compression: Required<CompressionOptions> | undefined;
  readonly encryption: ValueCipher | undefined;
}

const SOURCES = ['url', 'options', 'client', 'cluster', 'sentinel'] as const;
const NAMES: readonly string[] = [
  ...SOURCES,
  'prefix',
  'timeout',
  'reconnectAfterTimeouts',
  'failFast',
  'compression',
  'encryption',
];

/** @throws InvalidOptionsError naming the option, what was expected and what came */
export function resolveRedisOptions(given: RedisStorageOptions): ResolvedRedisOptions {
  if (typeof given !== 'object' || given === null)
    throw new InvalidOptionsError(
      `redisStorage: expected options such as { url: 'redis://localhost:6379' }, got ${describe(given)}.`,
    );
  for (const name of Object.keys(given))
    if (!NAMES.includes(name)) throw wrong(name, `one of ${NAMES.join(', ')}`, name);
  if (SOURCES.filter((name) => given[name] !== undefined).length !== 1)
    throw new InvalidOptionsError(`redisStorage: give exactly one of ${SOURCES.join(', ')}.`);
  if (given.url !== undefined && (typeof given.url !== 'string' || given.url === ''))
    throw wrong('url', 'redis://… or rediss://…', given.url);
  if (given.client && givesTextForNumbers(given.client))
    throw new InvalidOptionsError(
      'redisStorage: client: its option "stringNumbers" makes text of numbers, which the cache calculates with. Hand in client.duplicate({ stringNumbers: false }).',
    );
  const { prefix = 'nsc', timeout = '250ms', reconnectAfterTimeouts = 3, failFast = false } = given;
  if (typeof prefix !== 'string' || !/^[^{}]{1,100}$/.test(prefix))
    throw wrong('prefix', '1 to 100 characters without braces', prefix);
  if (!Number.isInteger(reconnectAfterTimeouts) || reconnectAfterTimeouts < 1)
    throw wrong('reconnectAfterTimeouts', 'a whole number above 0', reconnectAfterTimeouts);
  const timeoutMs = toMs(timeout, 'redisStorage: timeout');
  if (timeoutMs <= 0 || timeoutMs === Infinity)
    throw wrong('timeout', 'a finite duration above 0', timeout);
  return {
    source: given,
    prefix,
    timeoutMs,
    reconnectAfterTimeouts,
    failFast,
    compression: resolveCompression(given.compression),
    encryption: checkedCipher(given.encryption, 'redisStorage: encryption'),
  };
}

function givesTextForNumbers(client: Client): boolean {
  const { options } = client as { readonly options?: RedisOptions & ClusterOptions };
  return options?.stringNumbers === true || options?.redisOptions?.stringNumbers === true;
}

function resolveCompression(
  given: RedisStorageOptions['compression'],
): Required<CompressionOptions> | undefined {
  if (given === undefined || given === false) return undefined;
  if (given !== true && (typeof given !== 'object' || given === null))
    throw wrong('compression', 'true, false or { aboveBytes, maxInflatedBytes }', given);
  const { aboveBytes = 1024, maxInflatedBytes = 64 * 2 ** 20 } = given === true ? {} : given;
  for (const [name, bytes] of Object.entries({ aboveBytes, maxInflatedBytes }))
    if (!Number.isSafeInteger(bytes) || bytes < 0)
      throw wrong(`compression.${name}`, 'a number of bytes', bytes);
  return { aboveBytes, maxInflatedBytes };
}

function wrong(option: string, expected: string, got: unknown): InvalidOptionsError {
  return new InvalidOptionsError(
    `redisStorage: ${option}: expected ${expected}, got ${describe(got)}.`,
  );
}
