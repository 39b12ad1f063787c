import type { CacheListener } from '../cache-listener.js';
import type { Awaitable, EntryAddress, Leases } from '../storage.js';

/** Runs a call under deadline and breaker. */
export type Guard = <T>(during: string, at: EntryAddress, work: () => Awaitable<T>) => Promise<T>;

/** Leases under the same protection as everything else of their storage. */
export function resilientLeases(inner: Leases, guard: Guard, listener: CacheListener): Leases {
  return {
    acquire: (at, leaseMs, refresh) =>
      guard('acquire', at, () => inner.acquire(at, leaseMs, refresh)),
    store: (lease, entry, options) =>
      guard('store', lease.at, () => inner.store(lease, entry, options)),
    renew: (lease, leaseMs) => guard('renew', lease.at, () => inner.renew(lease, leaseMs)),
    release: async (lease) => {
      try {
        await guard('release', lease.at, () => inner.release(lease));
      } catch (error) {
        // Not given back, it runs out by itself; the next loader waits that long at most.
        listener.onFault?.({
          during: 'release',
          storage: 'leases',
          error,
          key: lease.at.key,
          scope: lease.at.scope,
        });
      }
    },
  };
}
