import { isFresh, type NewEntry, type RemovalReason, type StoredEntry } from '../entry.js';
import { InvalidOptionsError, UnsupportedError } from '../errors.js';
import { KeyLocks } from '../key-locks.js';
import { GLOBAL_SCOPE, type ScopePath } from '../scope.js';
import { EpochLeases, type EpochLease } from './epoch-leases.js';
import { EpochChanges } from './epoch-changes.js';
import { EpochEntries } from './epoch-entries.js';
import { Epochs, type EpochTokens } from './epochs.js';
import { PhysicalKeys } from './physical-keys.js';
import type {
  BasicStorage,
  Change,
  ChangeResult,
  EntryAddress,
  LeaseAnswer,
  Leases,
  ListedEntry,
  ListOptions,
  OpenStorage,
  ReadOptions,
  StorageHost,
  WriteOptions,
} from '../storage.js';

/** Counting what an eviction took goes on for so many times the deadline of one operation: half of what the eviction has. */
const COUNT_FACTOR = 10;
/** Of one operation, where the host names none. */
const TIMEOUT_MS = 250;

/**
 * Scopes, tags, fences and expiry on top of a storage that knows only keys and bytes.
 *
 * Each scope node, and each tag at each node, has an epoch: a random token under a key of its own. An entry records the
 * epochs of its path and is valid only while all of them are still there and the same. Evicting a scope or a tag deletes
 * one epoch; one that got lost can only cause misses (P8). Costs: a read is 1 + depth gets, and depth more for each tag.
 *
 * Work on one key never overlaps in this process. Across processes on one such storage the epochs hold, but single-flight
 * and the atomic operations do not: a storage shared by processes should be a driver.
 */
export class EpochStorage implements OpenStorage {
  readonly type: string;
  readonly holds = 'bytes';
  readonly leases: Leases;
  readonly #locks = new KeyLocks();
  readonly #keys: PhysicalKeys;
  readonly #epochs: Epochs;
  readonly #entries: EpochEntries;
  readonly #leased: EpochLeases;
  readonly #changes: EpochChanges;

  constructor(
    readonly inner: BasicStorage,
    readonly host: StorageHost,
  ) {
    if (host.rules.length > 0)
      throw new InvalidOptionsError(
        `rules: the storage "${inner.name}" cannot keep eviction rules (${host.rules.map((rule) => rule.name).join(', ')}). Use memoryStorage(), or let the storage bound itself.`,
      );
    this.type = inner.name;
    this.#keys = new PhysicalKeys(host);
    this.#epochs = new Epochs(inner, host, this.#keys, this.#locks);
    this.#entries = new EpochEntries(inner, host, this.#keys, this.#epochs);
    this.#leased = new EpochLeases(this.#keys);
    this.#changes = new EpochChanges(host, this.#epochs, this.#entries, this.#leased, (at, work) =>
      this.#exclusively(at, work),
    );
    this.leases = {
      acquire: (at, _leaseMs, refresh) => this.#acquire(at, refresh === true),
      store: (lease, entry) => this.#storeLeased(lease as EpochLease, entry),
      release: async (lease) => this.#giveBack(lease as EpochLease),
      renew: async (lease) => !(lease as EpochLease).isVoid,
    };
  }

  read(at: EntryAddress, options?: ReadOptions): Promise<StoredEntry | undefined> {
    return this.#exclusively(at, async () => {
      const found = await this.#entries.of(at);
      if (!found?.entry.sliding || options?.peek === true || !this.#fresh(found.entry))
        return found?.entry;
      await this.#entries.renew(at, found, found.entry.ttlMs);
      return renewed(found.entry, this.host.clock.monotonic());
    });
  }

  readMany(
    at: readonly EntryAddress[],
    options?: ReadOptions,
  ): Promise<(StoredEntry | undefined)[]> {
    return Promise.all(at.map((one) => this.read(one, options)));
  }

  async write(at: EntryAddress, entry: NewEntry, options?: WriteOptions): Promise<boolean> {
    // Bytes are made before anything is awaited: the caller's object may change meanwhile (P11).
    const payload = this.host.serializer.serialize(entry.value);
    return this.#exclusively(at, async () => {
      this.#leased.voidKey(at);
      const epochs = await this.#epochs.current(at.scope, entry.tags, 'create');
      if (options?.stillValid?.() === false) return false;
      await this.#entries.write(at, entry, payload, epochs);
      return true;
    });
  }

  async writeMany(
    items: readonly (readonly [EntryAddress, NewEntry])[],
    options?: WriteOptions,
  ): Promise<void> {
    await Promise.all(items.map(([at, entry]) => this.write(at, entry, options)));
  }

  remove(at: EntryAddress): Promise<boolean> {
    return this.#exclusively(at, async () => {
      this.#leased.voidKey(at);
      const found = await this.#entries.of(at);
      await this.inner.delete(this.#keys.entry(at));
      const wasLive = found !== undefined && this.#fresh(found.entry);
      if (wasLive) this.host.listener.onRemoval?.('deleted', 1, at.key, at.scope);
      return wasLive;
    });
  }

  async removeMany(at: readonly EntryAddress[]): Promise<number> {
    const removed = await Promise.all(at.map((one) => this.remove(one)));
    return removed.filter(Boolean).length;
  }

  touch(at: EntryAddress, ttlMs: number): Promise<boolean> {
    return this.#exclusively(at, async () => {
      const found = await this.#entries.of(at);
      if (!found || !this.#fresh(found.entry)) return false;
      await this.#entries.renew(at, found, ttlMs);
      return true;
    });
  }

  change(at: EntryAddress, change: Change): Promise<ChangeResult> {
    return this.#changes.change(at, change);
  }

  increment(at: EntryAddress, by: number, ttlMs: number): Promise<number> {
    return this.#changes.increment(at, by, ttlMs);
  }

  async evictScope(scope: ScopePath): Promise<number> {
    this.#leased.voidScope(scope);
    const forgotten = await this.#epochs.forgetScope(scope);
    this.#leased.voidScope(scope);
    return this.#countEvicted('scope', scope, forgotten);
  }

  async evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    this.#leased.suspectTags(scope, tags);
    const forgotten = await this.#epochs.forgetTags(scope, tags);
    this.#leased.suspectTags(scope, tags);
    return this.#countEvicted('tag', scope, forgotten, (entry) =>
      tags.some((tag) => entry.tags.includes(tag)),
    );
  }

  /** A minimal storage has no room for two kinds of epochs: what should be stale is evicted. */
  expire(scope: ScopePath, tags: readonly string[] | undefined): Promise<number> {
    return tags ? this.evictTags(scope, tags) : this.evictScope(scope);
  }

  async clear(): Promise<void> {
    this.#leased.voidScope(GLOBAL_SCOPE);
    await this.inner.clear(this.#keys.prefix);
    this.#leased.voidScope(GLOBAL_SCOPE);
  }

  async *list(scope: ScopePath, options: ListOptions): AsyncGenerator<ListedEntry> {
    if (!this.inner.keys)
      throw new UnsupportedError(
        `The storage "${this.type}" cannot list its keys: give it a keys(prefix) method to list and count entries.`,
      );
    for await (const found of this.#live())
      if (options.deep ? found.address.scope.isWithin(scope) : found.address.scope.id === scope.id)
        yield found;
  }

  async count(scope: ScopePath): Promise<number> {
    let count = 0;
    for await (const { address } of this.list(scope, { deep: true, keysOnly: true }))
      count += address ? 1 : 0;
    return count;
  }

  async removeExpired(): Promise<number> {
    let removed = 0;
    for await (const physical of this.inner.keys?.(this.#keys.entries) ?? []) {
      if (!(await this.#entries.isOver(physical))) continue;
      await this.#locks.run(physical, async () => this.inner.delete(physical));
      removed++;
    }
    return removed;
  }

  removeIdle(): Promise<number> {
    return Promise.reject(
      new UnsupportedError(
        `The storage "${this.type}" does not know when entries were last read; use a sliding TTL instead of removeIdle.`,
      ),
    );
  }

  figures(): Readonly<Record<string, number>> {
    return { keysInUse: this.#locks.size, keysLeased: this.#leased.size };
  }

  async close(): Promise<void> {
    await this.inner.close?.();
  }

  async #acquire(at: EntryAddress, refresh: boolean): Promise<LeaseAnswer> {
    return this.#exclusively(at, async () => {
      const found = await this.#entries.of(at);
      if (found && this.#fresh(found.entry) && !refresh) return { kind: 'hit', entry: found.entry };
      const lease = this.#leased.begin(at, await this.#epochs.current(at.scope, [], 'create'));
      return { kind: 'leased', lease, stale: found?.entry };
    });
  }

  async #storeLeased(lease: EpochLease, entry: NewEntry): Promise<boolean> {
    try {
      const payload = this.host.serializer.serialize(entry.value);
      return await this.#exclusively(lease.at, async () => {
        const tagEpochs = await this.#epochs.current(lease.at.scope, entry.tags, 'create');
        const isStill = Object.entries(lease.epochs).every(
          ([key, token]) => tagEpochs[key] === token,
        );
        const isSuspect = entry.tags.some((tag) => lease.evictedTags.has(tag));
        const stores = isStill && !lease.isVoid && !isSuspect;
        if (stores) await this.#entries.write(lease.at, entry, payload, tagEpochs);
        return stores;
      });
    } finally {
      this.#leased.end(lease);
    }
  }

  /** What was on its way to be stored under it comes too late: nobody tells the lease of evictions any more. */
  #giveBack(lease: EpochLease): void {
    lease.isVoid = true;
    this.#leased.end(lease);
  }

  /**
   * How many entries an eviction took that has happened already: counting them may take longer than any deadline, and the
   * eviction must neither wait for it nor fail with it. -1: not known.
   */
  async #countEvicted(
    reason: RemovalReason,
    scope: ScopePath,
    forgotten: EpochTokens,
    matches: (entry: StoredEntry) => boolean = () => true,
  ): Promise<number> {
    if (!this.inner.keys) return -1;
    if (Object.keys(forgotten).length === 0) return 0;
    const { clock, listener, timeoutMs = TIMEOUT_MS } = this.host;
    const until = clock.monotonic() + timeoutMs * COUNT_FACTOR;
    let live = 0;
    try {
      for await (const { address, entry } of this.#live(forgotten)) {
        if (address.scope.isWithin(scope) && matches(entry)) live++;
        if (clock.monotonic() >= until) return -1;
      }
    } catch (error) {
      listener.onFault?.({ during: 'count', storage: this.type, error, scope });
      return -1;
    }
    if (live > 0) listener.onRemoval?.(reason, live, undefined, scope);
    return live;
  }

  /** Everything that can be read. @param forgotten see {@link EpochEntries.at} */
  async *#live(forgotten?: EpochTokens): AsyncGenerator<ListedEntry> {
    for await (const physical of this.inner.keys!(this.#keys.entries)) {
      const found = await this.#entries.at(physical, undefined, forgotten);
      if (found && this.#fresh(found.entry)) yield found;
    }
  }

  #fresh(entry: StoredEntry): boolean {
    return isFresh(entry, this.host.clock.monotonic());
  }

  #exclusively<T>(at: EntryAddress, work: () => Promise<T>): Promise<T> {
    return this.#locks.run(this.#keys.entry(at), work);
  }
}

/** A sliding entry with its full life before it again, as the other storages give it back. */
function renewed(entry: StoredEntry, now: number): StoredEntry {
  const freshUntil = now + entry.ttlMs;
  return {
    ...entry,
    freshUntil,
    staleUntil: freshUntil + (entry.staleUntil - entry.freshUntil || 0),
  };
}
