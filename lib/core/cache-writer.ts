import type { CacheState } from './cache-state.js';
import type { NewEntry } from './entry.js';
import { isPromise } from './guard.js';
import { tagGroups } from './load-settings.js';
import type { Loading } from './loading.js';
import { GLOBAL_SCOPE as ROOT, type ScopePath } from './scope.js';
import type { StorageFaults } from './storage-faults.js';
import type { Awaitable, EntryAddress, OpenStorage, WriteOptions } from './storage.js';
import type { WriteFence } from './write-fences.js';

/** A change between two fences, and where it happens. */
interface FencedChange<T> {
  readonly during: string;
  readonly fence: () => void;
  readonly act: () => Awaitable<T>;
  /** The answer when the storage failed. */
  readonly fallback: T;
  readonly at?: EntryAddress;
  readonly scope?: ScopePath;
}

/** Everything that changes what is cached. Each change voids the loads that it outdates: see {@link Loading.between}. */
export class CacheWriter {
  constructor(
    readonly storage: OpenStorage,
    readonly loading: Loading,
    readonly state: CacheState,
    readonly faults: StorageFaults,
  ) {}

  set(at: EntryAddress, entry: NewEntry, tiers: WriteOptions | undefined): Promise<void> {
    let written: Awaitable<boolean>;
    try {
      written = this.loading.between(
        [at],
        () => this.loading.voidKey(at),
        () => this.storage.write(at, entry, tiers),
      );
    } catch (error) {
      written = this.faults.degrade('set', error, false, at);
    }
    if (isPromise(written)) return this.loading.fences.settled(this.#finishSet(written, at));
    if (written) this.state.onWrite(at.key, at.scope);
    return Promise.resolve();
  }

  /**
   * Stores a value that was begun when `fence` was taken, unless its entry has changed since. Then the entry goes instead:
   * which of the two values is newer cannot be told, and a miss is right in either case.
   */
  async setFenced(
    at: EntryAddress,
    entry: NewEntry,
    tiers: WriteOptions | undefined,
    fence: WriteFence,
  ): Promise<boolean> {
    const { fences } = this.loading;
    const storing = this.#storeOrRemove(at, entry, tiers, fence);
    // Storages without leases ask just before they write, so there nothing can be overtaken on the way.
    return fences.settled(
      this.storage.leases ? fences.track(fence, at, entry.tags, storing) : storing,
    );
  }

  delete(at: EntryAddress): Promise<boolean> {
    return this.loading.fences.settled(this.#remove(at));
  }

  /** `ttl: 0`: nothing is kept, not even what was there. */
  async drop(at: EntryAddress): Promise<void> {
    await this.delete(at);
  }

  async touch(at: EntryAddress, ttlMs: number): Promise<boolean> {
    if (ttlMs === 0) return this.delete(at);
    try {
      return await this.storage.touch(at, ttlMs);
    } catch (error) {
      return this.faults.degrade('touch', error, false, at);
    }
  }

  evictScope(scope: ScopePath): Promise<number> {
    return this.#fenced({
      during: 'evictScope',
      fence: () => this.loading.voidScope(scope),
      act: () => this.storage.evictScope(scope),
      fallback: 0,
      scope,
    });
  }

  evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    return this.#byTags('evictTags', scope, tags, (group) => this.storage.evictTags(scope, group));
  }

  expireScope(scope: ScopePath): Promise<number> {
    return this.#fenced({
      during: 'expire',
      fence: () => this.loading.voidScope(scope),
      act: () => this.storage.expire(scope, undefined),
      fallback: 0,
      scope,
    });
  }

  expireTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    return this.#byTags('expire', scope, tags, (group) => this.storage.expire(scope, group));
  }

  clear(): Promise<void> {
    return this.#fenced({
      during: 'clear',
      fence: () => this.loading.voidScope(ROOT),
      act: () => this.storage.clear(),
      fallback: undefined,
    });
  }

  /** Live entries in all, -1 when the storage cannot say. */
  async countOrUnknown(): Promise<number> {
    try {
      return await this.storage.count(ROOT);
    } catch (error) {
      this.faults.report('count', error);
      return -1;
    }
  }

  async #storeOrRemove(
    at: EntryAddress,
    entry: NewEntry,
    tiers: WriteOptions | undefined,
    fence: WriteFence,
  ): Promise<boolean> {
    const stillValid = (): boolean => !fence.isOvertaken(at, entry.tags);
    const stored = stillValid() && (await this.#writeFenced(at, entry, tiers, fence, stillValid));
    if (!stillValid()) await this.#remove(at);
    return stored && stillValid();
  }

  async #remove(at: EntryAddress): Promise<boolean> {
    const removed = await this.#between({
      during: 'delete',
      fence: () => this.loading.voidKey(at),
      act: () => this.storage.remove(at),
      fallback: false,
      at,
    });
    if (removed) this.state.deletes++;
    return removed;
  }

  async #writeFenced(
    at: EntryAddress,
    entry: NewEntry,
    tiers: WriteOptions | undefined,
    fence: WriteFence,
    stillValid: () => boolean,
  ): Promise<boolean> {
    try {
      const stored = await this.loading.between(
        [at],
        () => this.loading.voidKey(at, fence),
        () => this.storage.write(at, entry, { ...tiers, stillValid }),
      );
      if (stored) this.state.onWrite(at.key, at.scope);
      return stored;
    } catch (error) {
      return this.faults.degrade('set', error, false, at);
    }
  }

  async #finishSet(written: Promise<boolean>, at: EntryAddress): Promise<void> {
    try {
      if (await written) this.state.onWrite(at.key, at.scope);
    } catch (error) {
      this.faults.degrade('set', error, undefined, at);
    }
  }

  #byTags(
    during: string,
    scope: ScopePath,
    tags: readonly string[],
    act: (group: readonly string[]) => Awaitable<number>,
  ): Promise<number> {
    return inGroups(tags, (group) =>
      this.#fenced({
        during,
        fence: () => this.loading.suspectTags(scope, group),
        act: () => act(group),
        fallback: 0,
        scope,
      }),
    );
  }

  #fenced<T>(change: FencedChange<T>): Promise<T> {
    return this.loading.fences.settled(this.#between(change));
  }

  async #between<T>({ during, fence, act, fallback, at, scope }: FencedChange<T>): Promise<T> {
    try {
      return await this.loading.between(at ? [at] : [], fence, act);
    } catch (error) {
      return this.faults.degrade(during, error, fallback, at, scope);
    }
  }
}

/** One group of tags after the other; an entry that carries tags of several leaves with the first. -1: nobody can say how many. */
async function inGroups(
  tags: readonly string[],
  evict: (group: readonly string[]) => Promise<number>,
): Promise<number> {
  let total = 0;
  const failures: unknown[] = [];
  for (const group of tagGroups(tags)) {
    try {
      const count = await evict(group);
      total = count < 0 || total < 0 ? -1 : total + count;
    } catch (error) {
      failures.push(error);
    }
  }
  // Only now: a storage that is away makes up for what it has been told of (P13).
  if (failures.length > 0) throw failures[0];
  return total;
}
