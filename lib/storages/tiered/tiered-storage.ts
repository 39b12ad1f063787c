import type { CacheBus } from '../../core/bus.js';
import { toMs, type Duration } from '../../core/duration.js';
import { describe, InvalidOptionsError } from '../../core/errors.js';
import type { StorageDriver, StorageHost } from '../../core/storage.js';
import { TieredStore } from './tiered-store.js';

/** For `tieredStorage`. */
export interface TieredStorageOptions {
  /** In this process: `memoryStorage(…)`. Must keep values, not bytes, and no snapshots. */
  readonly near: StorageDriver;
  /** Shared by all processes: `redisStorage(…)`. */
  readonly far: StorageDriver;
  /**
   * How nodes tell each other of changes. Default: the far storage's own bus, if it has one. `false`: none; near values
   * are then checked against the far tier when they are older than `nearTtl`, which defaults to `'1s'`.
   */
  readonly bus?: CacheBus | false;
  /** How long a near value serves before it is read from the far tier again. Never outlives the far entry. Default: as long as that. */
  readonly nearTtl?: Duration;
  /** How often a node says on the bus that it is alive; losses are noticed within twice this. 10 ms or more. Default `'500ms'`. */
  readonly heartbeat?: Duration;
  /**
   * While the far tier cannot be reached, how long near values may still serve after the last moment at which nothing can
   * have been missed. Default `'60s'`. `0`: not at all.
   */
  readonly staleWhileAway?: Duration;
}

/** The durations, in ms. */
export interface TieredLimits {
  readonly nearMs: number;
  readonly heartbeatMs: number;
  readonly awayMs: number;
}

const HEARTBEAT_MIN_MS = 10;
const NAMES: readonly string[] = ['near', 'far', 'bus', 'nearTtl', 'heartbeat', 'staleWhileAway'];

/**
 * A near tier in this process before a shared far tier. Near hits use no network. Every write, delete and eviction goes to
 * the far tier and is announced to the other nodes; a node that may have missed an announcement checks its near values
 * against the far tier before it serves them again (P6).
 */
export function tieredStorage(options: TieredStorageOptions): StorageDriver {
  const { near, far } = checkedObject(options);
  for (const [name, tier] of Object.entries({ near, far }))
    if (typeof tier?.open !== 'function')
      throw new InvalidOptionsError(
        `tieredStorage: ${name} must be a storage such as memoryStorage() or redisStorage(…), got ${describe(tier)}.`,
      );
  const bus = options.bus === false ? undefined : (options.bus ?? far.bus);
  if (bus !== undefined && typeof bus.open !== 'function')
    throw new InvalidOptionsError(
      `tieredStorage: bus must be a bus such as redisBus(…), or false; got ${describe(bus)}.`,
    );
  const limits: TieredLimits = {
    nearMs:
      options.nearTtl === undefined ? (bus ? Infinity : 1_000) : toMs(options.nearTtl, 'nearTtl'),
    heartbeatMs: heartbeatOf(options.heartbeat ?? '500ms'),
    awayMs: toMs(options.staleWhileAway ?? '60s', 'staleWhileAway'),
  };
  return {
    name: `${near.name}+${far.name}`,
    open: (host: StorageHost) => new TieredStore(near.open(nearHost(host)), far, bus, host, limits),
  };
}

function checkedObject(options: TieredStorageOptions): TieredStorageOptions {
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionsError(
      `tieredStorage: expected { near, far, … }, got ${describe(options)}.`,
    );
  for (const name of Object.keys(options))
    if (!NAMES.includes(name))
      throw new InvalidOptionsError(
        `tieredStorage: unknown option "${name}". Known: ${NAMES.join(', ')}.`,
      );
  return options;
}

function heartbeatOf(duration: Duration): number {
  const ms = toMs(duration, 'heartbeat');
  if (ms >= HEARTBEAT_MIN_MS && ms !== Infinity) return ms;
  throw new InvalidOptionsError(
    `tieredStorage: heartbeat must be finite and ${HEARTBEAT_MIN_MS} ms at least, got ${describe(duration)}.`,
  );
}

/** What leaves the near tier has not left the cache, so only its faults are passed on. */
function nearHost(host: StorageHost): StorageHost {
  const { listener } = host;
  return {
    ...host,
    listener: { onFault: (fault) => listener.onFault?.(fault) },
  };
}
