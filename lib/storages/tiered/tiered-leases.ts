import type { NewEntry, StoredEntry } from '../../core/entry.js';
import type { Flight } from '../../core/flights.js';
import type { EntryAddress, Lease, Leases } from '../../core/storage.js';

/** How what the far tier granted gets into the near tier. */
export interface NearFills {
  begin(at: EntryAddress): Flight<void>;
  fill(fill: Flight<void>, entry: StoredEntry): void;
  /** @param sentAt monotonic ms before the far tier was asked: its entry's life began no earlier */
  keep(fill: Flight<void>, entry: NewEntry, sentAt: number): void;
  now(): number;
  end(fill: Flight<void>): void;
}

/** The far tier's lease, and the fence of the near copy that began before it was asked for. */
interface TieredLease extends Lease {
  readonly far: Lease;
  readonly fill: Flight<void>;
}

/** Leases of the far tier whose stored results also become near copies. */
export function tieredLeases(far: Leases, near: NearFills): Leases {
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
