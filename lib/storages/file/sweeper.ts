import { join } from 'node:path';
import type { StorageHost } from '../../core/storage.js';
import { unlinkIfThere } from './disk.js';
import type { EntryFiles } from './entry-files.js';
import { isEntryName, isLeaseName, ownerOfTemp, type FileLayout } from './file-layout.js';
import type { FoundFiles } from './found-files.js';
import { readLease } from './lease-file.js';
import type { Owners } from './owners.js';
import type { Slots } from './slots.js';
import type { Trash } from './trash.js';
import type { Usage } from './usage.js';
import type { Found } from './walk.js';

/** Files looked at in one turn of the timer; the next turn goes on from there. */
const FILES_PER_TURN = 5_000;

/** What a sweep needs of the storage. */
export interface SweepParts {
  readonly host: StorageHost;
  readonly layout: FileLayout;
  readonly files: EntryFiles;
  readonly found: FoundFiles;
  readonly owners: Owners;
  readonly slots: Slots;
  readonly trash: Trash;
  readonly usage: Usage;
}

/** Removes expired entries, and what dead processes left: temporary files, slots, evicted folders. */
export class Sweeper {
  #walk: AsyncGenerator<Found> | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopTimer = (): void => undefined;
  #isClosed = false;

  constructor(
    readonly parts: SweepParts,
    readonly everyMs: number,
    readonly onFault: (during: string, error: unknown) => void,
    /** Told when a walk has seen all entries: limits can be applied. */
    readonly onWholeRound: () => Promise<void>,
  ) {
    this.#arm();
  }

  /** All of it, now. Resolves to how many expired entries it removed. */
  async removeExpired(): Promise<number> {
    let removed = 0;
    for await (const found of this.parts.files.folders.filesIn(this.parts.layout.entries, true))
      if (await this.#visit(found)) removed++;
    return removed;
  }

  /** Looks at all entries once, and tidies up after dead processes, as far as there are any. */
  start(): void {
    this.#running = this.#turn(Infinity);
  }

  whenIdle(): Promise<void> {
    return this.#running;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopTimer();
    await this.#running;
    await this.#walk?.return(undefined);
  }

  #arm(): void {
    if (this.#isClosed) return;
    this.#stopTimer = this.parts.host.clock.after(this.everyMs, () => {
      this.#running = this.#turn(FILES_PER_TURN).finally(() => this.#arm());
    });
  }

  async #turn(files: number): Promise<void> {
    try {
      if (!this.#walk) await this.#tidyAfterTheDead();
      this.#walk ??= this.parts.files.folders.filesIn(this.parts.layout.entries, true);
      for (let left = files; left > 0 && !this.#isClosed; left--) {
        const next = await this.#walk.next();
        if (next.done) return await this.#finishRound();
        await this.#visit(next.value);
      }
    } catch (error) {
      this.#walk = undefined;
      this.onFault('sweep', error);
    }
  }

  async #finishRound(): Promise<void> {
    this.#walk = undefined;
    await this.onWholeRound();
  }

  async #tidyAfterTheDead(): Promise<void> {
    const { owners, slots, trash } = this.parts;
    for (const id of await owners.ids()) if (await owners.isGone(id)) await slots.reclaim(id);
    await trash.adoptOrphans();
  }

  /** `true`: an expired entry was removed. */
  async #visit({ folder, name }: Found): Promise<boolean> {
    const owner = ownerOfTemp(name);
    if (owner !== undefined && (await this.parts.owners.isGone(owner)))
      await unlinkIfThere(join(folder, name));
    if (isLeaseName(name)) await this.#visitLease(folder, name);
    return isEntryName(name) ? this.#visitEntry(folder, name) : false;
  }

  /** Leases that nobody gave back. */
  async #visitLease(folder: string, name: string): Promise<void> {
    const { host, files, layout, owners } = this.parts;
    const place = layout.placeIn(folder, name.slice(0, name.indexOf('.')));
    await files.alone(place, async () => {
      const lease = await readLease(place);
      if (!lease || host.clock.now() >= lease.expiresAt || (await owners.isGone(lease.ownerId)))
        await unlinkIfThere(place.lease);
    });
  }

  async #visitEntry(folder: string, name: string): Promise<boolean> {
    const { host, files, found, usage } = this.parts;
    const entry = await found.read(folder, name);
    if (!entry) return found.removeIfOver(folder, name);
    const place = this.parts.layout.placeOf(entry.at);
    const isOver = (file: { staleUntil: number }): boolean => host.clock.now() >= file.staleUntil;
    if (!isOver(entry.file)) {
      usage.found(place.path, entry.file.bytes.length, entry.file.usedAt);
      return false;
    }
    if (!(await files.removeIf(entry.at, place, isOver))) return false;
    usage.removed(place.path);
    host.listener.onRemoval?.('expired', 1, entry.at.key, entry.at.scope);
    return true;
  }
}
