import type { ScopePath } from '../scope.js';
import type { EntryAddress, Lease } from '../storage.js';
import type { EpochTokens } from './epochs.js';
import type { PhysicalKeys } from './physical-keys.js';

/** A lease on the epochs that were current when it was taken. */
export interface EpochLease extends Lease {
  readonly epochs: EpochTokens;
  /** Tags evicted since it was taken; whether one of them matters is known only when the entry comes. */
  readonly evictedTags: Set<string>;
  isVoid: boolean;
}

/** The leases of this process; several on one key, since each load of it in this process has been told apart already. */
export class EpochLeases {
  readonly #byEntry = new Map<string, Set<EpochLease>>();

  constructor(readonly keys: PhysicalKeys) {}

  /** Entries that are leased; 0 when nothing loads (P16). */
  get size(): number {
    return this.#byEntry.size;
  }

  begin(at: EntryAddress, epochs: EpochTokens): EpochLease {
    const lease = { at, epochs, evictedTags: new Set<string>(), isVoid: false };
    const key = this.keys.entry(at);
    this.#byEntry.set(key, (this.#byEntry.get(key) ?? new Set()).add(lease));
    return lease;
  }

  end(lease: EpochLease): void {
    const key = this.keys.entry(lease.at);
    const leases = this.#byEntry.get(key);
    leases?.delete(lease);
    if (leases?.size === 0) this.#byEntry.delete(key);
  }

  /** The entry was written or removed. */
  voidKey(at: EntryAddress): void {
    for (const lease of this.#byEntry.get(this.keys.entry(at)) ?? []) lease.isVoid = true;
  }

  voidScope(scope: ScopePath): void {
    for (const lease of this.#within(scope)) lease.isVoid = true;
  }

  suspectTags(scope: ScopePath, tags: readonly string[]): void {
    for (const lease of this.#within(scope)) for (const tag of tags) lease.evictedTags.add(tag);
  }

  *#within(scope: ScopePath): Generator<EpochLease> {
    for (const leases of this.#byEntry.values())
      for (const lease of leases) if (lease.at.scope.isWithin(scope)) yield lease;
  }
}
