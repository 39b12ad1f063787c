import type { LoadContext, LoadOptions } from 'nestjs-scoped-cache';
import type { Versioned } from './history.js';

/** Calls that read, some of which load or renew on the way. */
export const READS = [
  'get',
  'lookup stale',
  'getMany',
  'map get',
  'entries',
  'getOrSet',
  'getOrSet refreshing',
  'getOrSet stale',
  'getOrSet early',
  'getOrSet failing',
  'getOrSet timing out',
  'getOrSet skipping',
  'getOrSet negative',
  'getOrSet short',
  'getOrSet repeating',
  'getOrSet nested',
  'getOrSetMany',
  'getOrSetMany stale',
  'getOrSetMany refreshing',
  'put',
  'getInherited',
  'touch',
  'keep',
  'increment',
  'get counter',
  'removeExpired',
  'removeIdle',
  'advance',
  'advance far',
] as const;
export type Read = (typeof READS)[number];

export const KINDS: Partial<Record<Read, LoadOptions>> = {
  'getOrSet refreshing': { refreshAhead: 0 },
  'getOrSet stale': { ttl: 1, grace: 60, softTimeout: 0.05, sliding: true },
  'getOrSet early': { ttl: 1, grace: 60, earlyExpiration: 1e6, jitter: 0.5 },
  'getOrSet failing': { ttl: 1, grace: 60, graceThrottle: 0.3, errorTtl: 0.2 },
  'getOrSet timing out': { ttl: 1, grace: 60, hardTimeout: 0.5 },
  'getOrSet repeating': { ttl: 1, grace: 60, refreshAhead: 0.1 },
  'getOrSetMany refreshing': { ttl: 1, refreshAhead: 0.1 },
  'getOrSetMany stale': { ttl: 1, grace: 60, softTimeout: 0.05 },
};

/** What loaders decide at their end, by the kind of the read. */
export const DECISIONS: Partial<Record<Read, (context: LoadContext) => void>> = {
  'getOrSet skipping': (context) => context.skipStore(),
  'getOrSet negative': (context) => context.negative(0.5),
  'getOrSet short': (context) => (context.setTtl(0.3), context.setGrace(60)),
};

/** What a value that a read came by holds; nothing for counters and misses. */
export function isVersioned(value: unknown): value is Versioned {
  return typeof value === 'object' && value !== null && 'v' in value;
}
