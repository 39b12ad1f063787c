import type { CacheListener } from '../cache-listener.js';
import type { Awaitable, EntryAddress, Lease, LeaseAnswer, Leases } from '../storage.js';

/** Runs a call under deadline and breaker. */
export type Guard = <T>(during: string, at: EntryAddress, work: () => Awaitable<T>) => Promise<T>;

/**
 * Leases under the same protection as everything else of their storage. One whose owner has given up, or is not let
 * through to use it, is given back: what the storage remembers of it in this process must not stay (P16).
 */
export function resilientLeases(inner: Leases, guard: Guard, listener: CacheListener): Leases {
  const forget = (lease: Lease): void => {
    inner.release(lease).catch((error: unknown) => report(error, lease.at));
  };
  /** Not given back, it runs out by itself; the next loader waits that long at most. */
  const report = (error: unknown, { key, scope }: EntryAddress): void =>
    listener.onFault?.({ during: 'release', storage: 'leases', error, key, scope });
  /** The last that is done with a lease. */
  const end = async <T>(during: string, lease: Lease, work: () => Promise<T>): Promise<T> => {
    let isTried = false;
    const tried = (): Promise<T> => {
      isTried = true;
      return work();
    };
    try {
      return await guard(during, lease.at, tried);
    } finally {
      if (!isTried) forget(lease);
    }
  };
  return {
    async acquire(at, leaseMs, refresh) {
      let isGivenUp = false;
      const acquire = async (): Promise<LeaseAnswer> => {
        const answer = await inner.acquire(at, leaseMs, refresh);
        if (isGivenUp && answer.kind === 'leased') forget(answer.lease);
        return answer;
      };
      try {
        return await guard('acquire', at, acquire);
      } catch (error) {
        isGivenUp = true;
        throw error;
      }
    },
    store: (lease, entry, options) => end('store', lease, () => inner.store(lease, entry, options)),
    renew: (lease, leaseMs) => guard('renew', lease.at, () => inner.renew(lease, leaseMs)),
    async release(lease) {
      try {
        await end('release', lease, () => inner.release(lease));
      } catch (error) {
        report(error, lease.at);
      }
    },
  };
}
