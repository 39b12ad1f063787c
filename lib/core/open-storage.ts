import type { CacheState } from './cache-state.js';
import { EpochStorage } from './epochs/epoch-storage.js';
import { NullStorage } from './null-storage.js';
import type { ResolvedOptions } from './options.js';
import { ResilientStorage } from './resilience/resilient-storage.js';
import { isDriver, type OpenStorage, type Platform, type StorageHost } from './storage.js';
import type { ValuePolicy } from './value/value-policy.js';

/**
 * Opens the storage of one cache: a driver as it is, a minimal storage under the core's own scopes and fences. Whatever
 * may be slow or away gets deadlines, a circuit breaker and an eviction journal around it.
 */
export function openStorage(
  options: ResolvedOptions,
  platform: Platform,
  state: CacheState,
  values: ValuePolicy,
): OpenStorage {
  if (!options.enabled) return new NullStorage();
  const host: StorageHost = {
    clock: platform.clock,
    digest: (text) => platform.digest(text),
    checksum: (bytes) => platform.checksum(bytes),
    randomToken: () => platform.randomToken(),
    random: () => platform.random(),
    namespace: options.namespace,
    scopes: options.scopes,
    serializer: options.serializer,
    timeoutMs: options.storageTimeoutMs,
    rules: options.rules,
    listener: state,
    admit: (value, where) => values.admit(value, where),
  };
  const storage: OpenStorage = isDriver(options.storage)
    ? options.storage.open(host)
    : new EpochStorage(options.storage, host);
  return storage.isLocal === true
    ? storage
    : new ResilientStorage(storage, host, options.storageTimeoutMs);
}
