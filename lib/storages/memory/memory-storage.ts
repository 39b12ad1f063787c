import { describe, InvalidOptionsError } from '../../core/errors.js';
import { toMs, type Duration } from '../../core/duration.js';
import { checkKnown } from '../../core/known-options.js';
import { lru } from '../../core/eviction/lru.js';
import type { EvictionRule } from '../../core/eviction/eviction-rule.js';
import type { OpenStorage, StorageDriver, StorageHost } from '../../core/storage.js';
import { MemoryStore } from './memory-store.js';

/** Limits of one scope level; each scope of that level, with everything below it, is held to them by itself. */
export interface ScopeLimits {
  /** A whole number from 1 up. */
  readonly maxEntries?: number;
  /** Estimated bytes, keys included. */
  readonly maxBytes?: number;
}

/** For `memoryStorage`. */
export interface MemoryStorageOptions {
  /** Entries at most; beyond, the longest unused leaves. Default 1,000,000. */
  readonly maxEntries?: number;
  /** Estimated bytes at most, keys and bookkeeping included. Default 134,217,728 (128 MiB). `Infinity`: values are not measured. */
  readonly maxBytes?: number;
  /** Limits by scope level, so that one tenant cannot crowd out the others: `{ org: { maxEntries: 10_000 } }`. Default: none. */
  readonly perScope?: Readonly<Record<string, ScopeLimits>>;
  /** How often expired entries are reclaimed without being asked for. Default `'5s'`. */
  readonly sweepEvery?: Duration;
}

/** The options with their defaults, in checked units. */
export interface MemoryLimits {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly sweepMs: number;
  /** Whether anything limits bytes, so that values must be measured when they are written. */
  readonly measures: boolean;
  readonly rules: readonly EvictionRule[];
}

/**
 * Entries in this process's memory: a tree of scopes, least recently used first out at the limits. Every cache that opens
 * it has entries of its own. Reads and writes are O(1) beside copying the value; nothing leaves the process.
 */
export function memoryStorage(options: MemoryStorageOptions = {}): StorageDriver {
  const limits = checked(options);
  return {
    name: 'memory',
    open: (host: StorageHost): OpenStorage => {
      for (const level of Object.keys(options.perScope ?? {}))
        if (!host.scopes.names.includes(level))
          throw new InvalidOptionsError(
            `memoryStorage: perScope names ${describe(level)}, which is no scope level; the levels are ${host.scopes.names.join(', ')}.`,
          );
      return new MemoryStore(host, limits);
    },
  };
}

const KNOWN = ['maxEntries', 'maxBytes', 'perScope', 'sweepEvery'];

function checked(options: MemoryStorageOptions): MemoryLimits {
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionsError(`memoryStorage: expected an object, got ${describe(options)}.`);
  for (const name of Object.keys(options))
    if (!KNOWN.includes(name))
      throw new InvalidOptionsError(
        `memoryStorage: unknown option "${name}". Known: ${KNOWN.join(', ')}.`,
      );
  const maxEntries = limit(options.maxEntries ?? 1_000_000, 'maxEntries');
  const maxBytes = limit(options.maxBytes ?? 128 * 1024 * 1024, 'maxBytes');
  const rules = Object.entries(options.perScope ?? {}).map(rulePerScope);
  const sweepMs = toMs(options.sweepEvery ?? '5s', 'sweepEvery');
  if (sweepMs === 0)
    throw new InvalidOptionsError(
      "memoryStorage: sweepEvery must be above 0; use 'forever' to switch the sweep off.",
    );
  const measures =
    maxBytes !== Infinity ||
    Object.values(options.perScope ?? {}).some((one) => one.maxBytes !== undefined);
  return { maxEntries, maxBytes, sweepMs, measures, rules };
}

function rulePerScope([per, limits]: [string, ScopeLimits]): EvictionRule {
  const where = `memoryStorage: perScope.${per}`;
  checkKnown(where, limits, ['maxEntries', 'maxBytes']);
  const given = Object.entries(limits).filter(([, value]) => value !== undefined);
  if (given.length === 0)
    throw new InvalidOptionsError(`${where}: expected { maxEntries }, { maxBytes } or both.`);
  for (const [name, value] of given)
    if (!Number.isInteger(value) || value < 1)
      throw new InvalidOptionsError(
        `${where}.${name} must be a whole number from 1 up; got ${describe(value)}.`,
      );
  const { maxEntries: max, maxBytes } = limits;
  return lru({
    per,
    ...(max !== undefined && { max }),
    ...(maxBytes !== undefined && { maxBytes }),
  });
}

function limit(value: number, name: string): number {
  if (value === Infinity || (Number.isInteger(value) && value >= 1)) return value;
  throw new InvalidOptionsError(
    `memoryStorage: ${name} must be a whole number from 1 up, or Infinity; got ${describe(value)}.`,
  );
}
