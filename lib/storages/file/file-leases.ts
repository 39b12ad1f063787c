import { systemClock } from '../../core/clock.js';
import type { NewEntry, StoredEntry } from '../../core/entry.js';
import type { EntryAddress, Lease, LeaseAnswer, Leases, StorageHost } from '../../core/storage.js';
import { hasCode, identityOf, unlinkIfThere } from './disk.js';
import { markOf, type FileEntry } from './entry-file.js';
import type { EntryFiles } from './entry-files.js';
import type { Place } from './file-layout.js';
import { readLease, rewriteLease, writeLease, type LeaseRecord } from './lease-file.js';
import type { Owners } from './owners.js';
import { pause } from './pause.js';

const POLL_MS_MAX = 50;

interface FileLease extends Lease {
  readonly place: Place;
  readonly token: string;
}

/** Leases as files beside the entries, so that evicting a scope takes them along. */
export class FileLeases implements Leases {
  constructor(
    readonly host: StorageHost,
    readonly files: EntryFiles,
    readonly owners: Owners,
    /** Told after something was stored. */
    readonly onStored: (place: Place, bytes: Uint8Array) => Promise<void>,
  ) {}

  async acquire(at: EntryAddress, leaseMs: number, refresh = false): Promise<LeaseAnswer> {
    const place = this.files.layout.placeOf(at);
    const early = refresh ? undefined : this.#hit(at, await this.files.read(at, place));
    if (early) return early;
    return this.files.alone(place, async () => {
      const file = await this.files.readAlone(at, place);
      const hit = refresh ? undefined : this.#hit(at, file);
      if (hit) return hit;
      const stale = this.#stale(at, file);
      if (await this.#isHeld(await readLease(place), file))
        return { kind: 'busy', stale, changed: (maxMs) => this.#changed(at, place, maxMs) };
      return { kind: 'leased', lease: await this.#take(at, place, file, leaseMs), stale };
    });
  }

  async store(lease: Lease, entry: NewEntry): Promise<boolean> {
    const { at, place, token } = lease as FileLease;
    const bytes = this.files.encode(at, entry);
    let isOurs = false;
    const isStored = await this.files.publish(
      place,
      bytes,
      async () => {
        const record = await this.#valid(at, place, token);
        isOurs = record !== undefined;
        return record !== undefined && !entry.tags.some((tag) => record.evictedTags.includes(tag));
      },
      () => this.#end(place, token, isOurs),
    );
    if (isStored) await this.onStored(place, bytes);
    return isStored;
  }

  async release(lease: Lease): Promise<void> {
    const { at, place, token } = lease as FileLease;
    try {
      await this.files.alone(place, async () => {
        if ((await readLease(place))?.token === token) await unlinkIfThere(place.lease);
      });
    } catch (error) {
      // Not given back, it runs out by itself.
      this.host.listener.onFault?.({
        during: 'release',
        storage: 'file',
        error,
        key: at.key,
        scope: at.scope,
      });
    }
  }

  renew(lease: Lease, leaseMs: number): Promise<boolean> {
    const { at, place, token } = lease as FileLease;
    return this.files.alone(place, async () => {
      const folder = identityOf(place.folder);
      const record = await this.#valid(at, place, token);
      if (!record) return false;
      const expiresAt = this.host.clock.now() + leaseMs;
      return rewriteLease(this.files.folders, place, { ...record, expiresAt }, folder);
    });
  }

  async #take(
    at: EntryAddress,
    place: Place,
    file: FileEntry | undefined,
    leaseMs: number,
  ): Promise<Lease> {
    const token = this.host.randomToken();
    const record: LeaseRecord = {
      token,
      expiresAt: this.host.clock.now() + leaseMs,
      ownerId: this.owners.me.id,
      seen: markOf(file),
      evictedTags: [],
    };
    try {
      await writeLease(this.files.folders, place, record);
    } catch (error) {
      // The scope was evicted in this very moment, and the lease with it: void from the start, which costs one store.
      if (!hasCode(error, 'ENOENT')) throw error;
    }
    return { at, place, token } as FileLease;
  }

  #hit(at: EntryAddress, file: FileEntry | undefined): LeaseAnswer | undefined {
    const isFresh = file !== undefined && this.host.clock.now() < file.freshUntil;
    const entry = isFresh ? this.files.stored(at, file) : undefined;
    return entry && { kind: 'hit', entry };
  }

  #stale(at: EntryAddress, file: FileEntry | undefined): StoredEntry | undefined {
    const isUsable = file !== undefined && this.host.clock.now() < file.staleUntil;
    return isUsable ? this.files.stored(at, file) : undefined;
  }

  async #valid(at: EntryAddress, place: Place, token: string): Promise<LeaseRecord | undefined> {
    const [record, file] = await Promise.all([readLease(place), this.files.readAlone(at, place)]);
    return record?.token === token &&
      record.seen === markOf(file) &&
      this.host.clock.now() < record.expiresAt
      ? record
      : undefined;
  }

  /** The lease ends with the attempt to store, whatever became of it. */
  async #end(place: Place, token: string, isOurs: boolean): Promise<void> {
    if (isOurs || (await readLease(place))?.token === token) await unlinkIfThere(place.lease);
  }

  /** A lease whose process is gone, or whose key was written since, delays nobody. */
  async #isHeld(record: LeaseRecord | undefined, file: FileEntry | undefined): Promise<boolean> {
    if (!record || record.seen !== markOf(file) || this.host.clock.now() >= record.expiresAt)
      return false;
    return !(await this.owners.isGone(record.ownerId));
  }

  /** Looks again and again, in real time: what it waits for happens in other processes. */
  async #changed(at: EntryAddress, place: Place, maxMs: number): Promise<void> {
    let isOver = false;
    const stop = this.host.clock.after(maxMs, () => (isOver = true));
    const until = systemClock.monotonic() + maxMs;
    try {
      for (
        let pauseMs = 2;
        !isOver && systemClock.monotonic() < until;
        pauseMs = Math.min(POLL_MS_MAX, pauseMs * 2)
      ) {
        await pause(pauseMs);
        if (!(await this.#isHeld(await readLease(place), await this.files.read(at, place)))) return;
      }
    } catch (error) {
      // Asking again will meet the same fault, where it is the caller's to handle.
      this.host.listener.onFault?.({ during: 'acquire', storage: 'file', error });
    } finally {
      stop();
    }
  }
}
