import type { RemovalReason } from './entry.js';
import type { ScopePath } from './scope.js';
import type { RestoreReport } from './storage.js';

/** Something outside did not work. The operation went on as P12 and P13 say; this is how one learns of it. */
export interface CacheFault {
  /** What was being done: `'read'`, `'write'`, `'evictScope'`, `'rule'`, `'refresh'`, … */
  readonly during: string;
  readonly storage: string;
  /** Never contains a cached value. */
  readonly error: unknown;
  readonly key?: string;
  readonly scope?: ScopePath;
}

/**
 * Told of what happens, for metrics, tests and logs. All hooks are optional and synchronous; one that throws is
 * ignored. Keys and scopes are given, values never.
 */
export interface CacheListener {
  onHit?(key: string, scope: ScopePath, stale: boolean): void;
  onMiss?(key: string, scope: ScopePath): void;
  onWrite?(key: string, scope: ScopePath): void;
  /** An entry left the cache. Storages that drop many at once report `count` of them with no key. */
  onRemoval?(reason: RemovalReason, count: number, key?: string, scope?: ScopePath): void;
  onFault?(fault: CacheFault): void;
  /** A restore from a snapshot has ended, at the start or by hand: which file was used, if any, and what came of it. */
  onRestore?(report: RestoreReport): void;
}
