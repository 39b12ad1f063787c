import type { CacheBus } from '../../core/bus.js';
import { toMs, type Duration } from '../../core/duration.js';
import { describe, InvalidOptionsError } from '../../core/errors.js';
import type { StorageDriver, StorageHost } from '../../core/storage.js';
import { TieredStore } from './tiered-store.js';

/** For `tieredStorage`. */
export interface TieredStorageOptions {
  /** In this process: `memoryStorage(…)`. Must keep values, not bytes. */
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
  /** How often a node says on the bus that it is alive; losses are noticed within twice this. Default `'500ms'`. */
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

/**
 * A near tier in this process before a shared far tier. Near hits use no network. Every write, delete and eviction goes to
 * the far tier and is announced to the other nodes; a node that may have missed an announcement checks its near values
 * against the far tier before it serves them again (P6).
 */
export function tieredStorage(options: TieredStorageOptions): StorageDriver {
  const { near, far } = options;
  for (const [name, tier] of Object.entries({ near, far }))
    if (typeof tier?.open !== 'function')
      throw new InvalidOptionsError(
        `tieredStorage: ${name} must be a storage such as memoryStorage() or redisStorage(…), got ${describe(tier)}.`,
      );
  const bus = options.bus === false ? undefined : (options.bus ?? far.bus);
  const limits: TieredLimits = {
    nearMs:
      options.nearTtl === undefined ? (bus ? Infinity : 1_000) : toMs(options.nearTtl, 'nearTtl'),
    heartbeatMs: Math.max(10, toMs(options.heartbeat ?? '500ms', 'heartbeat')),
    awayMs: toMs(options.staleWhileAway ?? '60s', 'staleWhileAway'),
  };
  return {
    name: `${near.name}+${far.name}`,
    open: (host: StorageHost) => new TieredStore(near.open(nearHost(host)), far, bus, host, limits),
  };
}

/** What leaves the near tier has not left the cache, so only its faults are passed on. */
function nearHost(host: StorageHost): StorageHost {
  return { ...host, listener: { onFault: (fault) => host.listener.onFault?.(fault) } };
}
