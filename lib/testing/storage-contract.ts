import type { CacheStorage, Platform } from '../core/storage.js';
import { nodePlatform } from '../platform/node-platform.js';
import { atomicClauses } from './contract/atomic-clauses.js';
import { closingClauses } from './contract/closing-clauses.js';
import { countingClauses } from './contract/counting-clauses.js';
import { faultClauses } from './contract/fault-clauses.js';
import { fenceClauses } from './contract/fence-clauses.js';
import { isolationClauses } from './contract/isolation-clauses.js';
import { lifetimeClauses } from './contract/lifetime-clauses.js';
import { StorageBench, type StorageClause } from './contract/storage-bench.js';
import { valueClauses } from './contract/value-clauses.js';
import { clauseDeclarer, type ContractOptions } from './runner.js';

/** For {@link storageContract}. */
export interface StorageContractOptions extends ContractOptions {
  /** A storage for one clause. It may be shared with other clauses: each works in a namespace of its own. */
  makeStorage(): CacheStorage | Promise<CacheStorage>;
  /** Releases what `makeStorage` opened. */
  afterClause?(storage: CacheStorage): void | Promise<void>;
  /** The storage lets entries expire by its own clock, so clauses really wait, by `wait`. Default: a clock at a standstill. */
  readonly realTime?: boolean;
  /** Sleeps for so many ms. Needed with `realTime`. */
  wait?(ms: number): Promise<void>;
  /** Steps in which the storage measures how long an entry was idle, in ms. Default: it is exact. Redis: 1,000. */
  readonly idleStepMs?: number;
  /** How long another cache may take to see a change (P6: what travels on a bus), in ms. Default: it sees it at once. */
  readonly delayMs?: number;
  /**
   * What several caches on one storage have in common. `'nothing'` (default): memory. `'entries'`: they see each other's
   * entries and evictions. `'fleet'`: fences, single-flight and atomic changes span them too.
   */
  readonly shared?: 'nothing' | 'entries' | 'fleet';
  /**
   * What it cannot do, which its clauses then say in their titles: `'list'` and count, remove the `'idle'`, serve within a
   * `'grace'`.
   */
  readonly cannot?: readonly ('list' | 'idle' | 'grace')[];
  /** Default: Node.js's. */
  readonly platform?: Platform;
}

/**
 * Declares the tests that every storage must pass, clause by clause: S1 to S8 of `OpenStorage`, and the promises P1, P5, P7
 * to P11, P14, P16 and P17 as a cache over the storage keeps them.
 *
 * ```ts
 * import { describe, it } from 'node:test';
 * storageContract({ name: 'my storage', makeStorage: () => myStorage(), describe, it });
 * ```
 */
export function storageContract(options: StorageContractOptions): void {
  const { shared = 'nothing', cannot = [], platform = nodePlatform } = options;
  const skip = {
    ...(cannot.includes('list') && { S5: 'it cannot list' }),
    ...options.skip,
  };
  const declare = clauseDeclarer({ ...options, skip });
  const bench = { ...options, platform };
  const clause: StorageClause = (ids, claim, body) =>
    declare(ids, claim, () => StorageBench.with(bench, body));

  options.describe(`storage contract: ${options.name}`, () => {
    isolationClauses(clause, !cannot.includes('list'));
    lifetimeClauses(clause, options.realTime !== true, !cannot.includes('grace'));
    valueClauses(clause, shared !== 'nothing');
    fenceClauses(clause, shared !== 'nothing', shared === 'fleet');
    atomicClauses(clause, shared === 'fleet');
    countingClauses(clause, !cannot.includes('idle'));
    faultClauses(clause);
    closingClauses(clause);
  });
}
