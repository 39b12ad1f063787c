import type { Lease, Leases } from '../../core/storage.js';
import type { Fill, NearCopies } from './near-copies.js';

/** The far tier's lease, and the fence of the near copy that began before it was asked for. */
interface TieredLease extends Lease {
  readonly far: Lease;
  readonly fill: Fill;
}

/** Leases of the far tier whose stored results also become near copies. */
export function tieredLeases(far: Leases, near: NearCopies): Leases {
  return {
    async acquire(at, leaseMs, refresh) {
      const fill = near.begin(at);
      let keepsFence = false;
      try {
        const answer = await far.acquire(at, leaseMs, refresh);
        if (answer.kind === 'hit') near.fill(fill, answer.entry);
        if (answer.kind !== 'leased') return answer;
        keepsFence = true;
        const lease: TieredLease = { at, far: answer.lease, fill };
        return { ...answer, lease };
      } finally {
        if (!keepsFence) near.end(fill);
      }
    },
    async store(lease, entry, options) {
      const { far: granted, fill } = lease as TieredLease;
      try {
        const sentAt = near.now();
        if (options?.skipFar === true) {
          near.keep(fill, entry, sentAt);
          await far.release(granted);
          return true;
        }
        const stored = await far.store(granted, entry);
        if (stored && options?.skipNear !== true) near.keep(fill, entry, sentAt);
        return stored;
      } finally {
        near.end(fill);
      }
    },
    async release(lease) {
      const { far: granted, fill } = lease as TieredLease;
      // A result may be on its way to the far tier; whatever comes of that, no near copy, which no change would void any more.
      fill.isVoid = true;
      near.end(fill);
      await far.release(granted);
    },
    renew: (lease, leaseMs) => far.renew((lease as TieredLease).far, leaseMs),
  };
}
