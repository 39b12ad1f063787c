import type { CacheBus } from '../../core/bus.js';
import type { NewEntry, StoredEntry } from '../../core/entry.js';
import { InvalidOptionsError } from '../../core/errors.js';
import { isPromise } from '../../core/guard.js';
import { PartialRead } from '../../core/partial-read.js';
import { ResilientStorage } from '../../core/resilience/resilient-storage.js';
import { GLOBAL_SCOPE, type ScopePath } from '../../core/scope.js';
import { isStorageFault } from '../../core/storage-faults.js';
import type {
  Awaitable,
  Change as EntryChange,
  ChangeResult,
  EntryAddress,
  Leases,
  ListedEntry,
  ListOptions,
  OpenStorage,
  ReadOptions,
  StorageDriver,
  StorageHost,
  WriteOptions,
} from '../../core/storage.js';
import { AnnouncingStorage } from './announcing-storage.js';
import { BusLink } from './bus-link.js';
import { NearCopies, type Fill } from './near-copies.js';
import { tieredLeases } from './tiered-leases.js';
import type { TieredLimits } from './tiered-storage.js';

/** A wait longer than any storage timeout makes sense. */
const TIMEOUT_MS = 250;

/** Near and far as one storage. Every change drops the near copy before the far tier is asked and again when it has answered. */
export class TieredStore implements OpenStorage {
  readonly type: string;
  readonly holds = 'values';
  /** Near hits pass no breaker; the far tier has its own. */
  readonly isLocal = true;
  readonly leases?: Leases;
  readonly #far: OpenStorage;
  readonly #admit: (value: unknown, where: string) => unknown;
  readonly #link: BusLink | undefined;
  readonly #copies: NearCopies;

  constructor(
    readonly near: OpenStorage,
    far: StorageDriver,
    bus: CacheBus | undefined,
    readonly host: StorageHost,
    readonly limits: TieredLimits,
  ) {
    if (near.holds !== 'values')
      throw new InvalidOptionsError(
        `tieredStorage: near must keep values (memoryStorage); ${near.type} keeps bytes.`,
      );
    if (near.snapshots)
      throw new InvalidOptionsError(
        'tieredStorage: near must not have snapshots (withSnapshots): what they bring back may have been changed in the far tier since. Leave them out; near copies come back with the first reads.',
      );
    this.#copies = new NearCopies(near, host);
    const opened = far.open({ ...host, rules: [] });
    this.type = `${near.type}+${opened.type}`;
    const channel = `${host.digest(host.namespace).slice(0, 32)}`;
    this.#link =
      bus &&
      new BusLink(
        bus,
        channel,
        host,
        limits.heartbeatMs,
        (change) => this.#copies.drop(change),
        () => this.#copies.voidAllFills(),
      );
    const { admit } = host;
    // Values made from bytes are not in the form yet in which this cache keeps values (frozen, say).
    this.#admit = opened.holds === 'bytes' && admit ? admit : (value) => value;
    const announced = new AnnouncingStorage(opened, (change) => this.#link?.announce(change));
    this.#far = new ResilientStorage(announced, host, host.timeoutMs ?? TIMEOUT_MS);
    if (this.#far.leases) this.leases = tieredLeases(this.#far.leases, this.#copies);
  }

  read(at: EntryAddress, options?: ReadOptions): Awaitable<StoredEntry | undefined> {
    if (options?.skipNear === true) return this.#far.read(at, options);
    const copy = this.near.read(at, options);
    if (isPromise(copy)) return copy.then((late) => this.#judge(at, late, options));
    return this.#judge(at, copy, options);
  }

  async readMany(
    at: readonly EntryAddress[],
    options?: ReadOptions,
  ): Promise<(StoredEntry | undefined)[]> {
    const copies = options?.skipNear
      ? at.map(() => undefined as StoredEntry | undefined)
      : [...(await this.near.readMany(at, options))];
    const missing = at.flatMap((_, index) =>
      copies[index] && this.#isTrusted(copies[index]) ? [] : [index],
    );
    if (options?.skipFar === true) for (const index of missing) copies[index] = undefined;
    if (missing.length === 0 || options?.skipFar === true) return copies;
    const fills = missing.map((index) => this.#copies.begin(at[index]!));
    try {
      const entries = await this.#far.readMany(
        missing.map((index) => at[index]!),
        options,
      );
      missing.forEach(
        (index, nth) => (copies[index] = this.#takeIn(fills[nth]!, entries[nth], options)),
      );
    } catch (error) {
      if (!isStorageFault(error)) throw error;
      const unread = missing.filter(
        (index, nth) => !this.#servesAway(fills[nth]!, copies[index], error),
      );
      for (const index of unread) copies[index] = undefined;
      if (unread.length > 0) throw new PartialRead(copies, error);
    } finally {
      for (const fill of fills) this.#copies.end(fill);
    }
    return copies;
  }

  async write(at: EntryAddress, entry: NewEntry, options?: WriteOptions): Promise<boolean> {
    if (options?.skipFar === true) {
      this.#copies.voidFills(at);
      return this.near.write(at, entry, options);
    }
    this.#copies.dropKey(at);
    const fill = this.#copies.begin(at);
    const sentAt = this.host.clock.monotonic();
    try {
      const written = await this.#far.write(at, entry, options);
      // Ends here, so that dropping what reads copied meanwhile does not void this write's own, newest copy.
      this.#copies.end(fill);
      this.#copies.dropKey(at);
      if (written && options?.skipNear !== true) this.#copies.keep(fill, entry, sentAt);
      return written;
    } catch (error) {
      this.#copies.end(fill);
      this.#copies.dropKey(at);
      throw error;
    }
  }

  async writeMany(
    items: readonly (readonly [EntryAddress, NewEntry])[],
    options?: WriteOptions,
  ): Promise<void> {
    if (options?.skipFar === true) {
      for (const [at] of items) this.#copies.voidFills(at);
      await this.near.writeMany(items, options);
      return;
    }
    for (const [at] of items) this.#copies.dropKey(at);
    const fills = items.map(([at]) => this.#copies.begin(at));
    const sentAt = this.host.clock.monotonic();
    const settle = (): void => {
      for (const fill of fills) this.#copies.end(fill);
      for (const [at] of items) this.#copies.dropKey(at);
    };
    try {
      await this.#far.writeMany(items, options);
    } catch (error) {
      settle();
      throw error;
    }
    settle();
    if (options?.skipNear !== true)
      items.forEach(([, entry], index) => this.#copies.keep(fills[index]!, entry, sentAt));
  }

  remove(at: EntryAddress): Promise<boolean> {
    return this.#around(
      () => this.#copies.dropKey(at),
      () => this.#far.remove(at),
    );
  }

  removeMany(at: readonly EntryAddress[]): Promise<number> {
    return this.#around(
      () => at.forEach((one) => this.#copies.dropKey(one)),
      () => this.#far.removeMany(at),
    );
  }

  touch(at: EntryAddress, ttlMs: number): Promise<boolean> {
    return this.#around(
      () => this.#copies.dropKey(at),
      () => this.#far.touch(at, ttlMs),
    );
  }

  change(at: EntryAddress, change: EntryChange): Promise<ChangeResult> {
    return this.#around(
      () => this.#copies.dropKey(at),
      () => this.#far.change(at, change),
    );
  }

  increment(at: EntryAddress, by: number, ttlMs: number): Promise<number> {
    return this.#around(
      () => this.#copies.dropKey(at),
      () => this.#far.increment(at, by, ttlMs),
    );
  }

  evictScope(scope: ScopePath): Promise<number> {
    return this.#around(
      () => this.#copies.dropScope(scope),
      () => this.#far.evictScope(scope),
    );
  }

  evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    return this.#around(
      () => this.#copies.dropTags(scope, tags),
      () => this.#far.evictTags(scope, tags),
    );
  }

  expire(scope: ScopePath, tags: readonly string[] | undefined): Promise<number> {
    const drop = (): void =>
      tags ? this.#copies.dropTags(scope, tags) : this.#copies.dropScope(scope);
    return this.#around(drop, () => this.#far.expire(scope, tags));
  }

  clear(): Promise<void> {
    return this.#around(
      () => this.#copies.dropScope(GLOBAL_SCOPE),
      () => this.#far.clear(),
    );
  }

  async *list(scope: ScopePath, options: ListOptions): AsyncGenerator<ListedEntry> {
    for await (const { address, entry } of this.#far.list(scope, options))
      yield {
        address,
        entry: options.keysOnly === true ? entry : this.#admitted(address, entry),
      };
  }

  count(scope: ScopePath): Awaitable<number> {
    return this.#far.count(scope);
  }

  async removeExpired(): Promise<number> {
    await this.near.removeExpired();
    return this.#far.removeExpired();
  }

  /** By the far tier's knowledge of reads: near hits do not reach it. */
  removeIdle(scope: ScopePath, idleMs: number): Promise<number> {
    return this.#around(
      () => this.#copies.dropScope(scope),
      () => this.#far.removeIdle(scope, idleMs),
    );
  }

  figures(): Readonly<Record<string, number>> {
    const near = Object.entries(this.near.figures?.() ?? {}).map(
      ([name, value]) => [`near.${name}`, value] as const,
    );
    return {
      ...Object.fromEntries(near),
      ...this.#far.figures?.(),
      ...this.#link?.figures(),
      fillsUnderWay: this.#copies.underWay,
    };
  }

  async ready(): Promise<void> {
    await this.#far.ready?.();
  }

  async close(): Promise<void> {
    try {
      await this.near.close();
      await this.#far.close();
    } finally {
      // Last, because closing the far tier may replay evictions, which are announced.
      await this.#link?.close();
    }
  }

  /** Whether nothing can have been missed about a near copy since it was made. */
  #isTrusted(copy: StoredEntry): boolean {
    const now = this.host.clock.monotonic();
    if (now - copy.storedAt >= this.limits.nearMs) return false;
    return this.#link === undefined || this.#link.isTrusted(copy.storedAt, now);
  }

  #judge(
    at: EntryAddress,
    copy: StoredEntry | undefined,
    options: ReadOptions | undefined,
  ): Awaitable<StoredEntry | undefined> {
    if (copy !== undefined && this.#isTrusted(copy)) return copy;
    return options?.skipFar === true ? undefined : this.#readFar(at, copy, options);
  }

  async #readFar(
    at: EntryAddress,
    copy: StoredEntry | undefined,
    options: ReadOptions | undefined,
  ): Promise<StoredEntry | undefined> {
    const fill = this.#copies.begin(at);
    try {
      return this.#takeIn(fill, await this.#far.read(at, options), options);
    } catch (error) {
      if (this.#servesAway(fill, copy, error)) return copy;
      throw error;
    } finally {
      this.#copies.end(fill);
    }
  }

  /** While the far tier is away, a near value is the best there is, for a while; unless it was changed here meanwhile. */
  #servesAway(fill: Fill, copy: StoredEntry | undefined, error: unknown): boolean {
    if (copy === undefined || fill.isFencedFor(copy.tags) || !isStorageFault(error)) return false;
    const vouchedUntil = this.#link?.vouchedUntil(copy.storedAt) ?? copy.storedAt;
    return this.host.clock.monotonic() - vouchedUntil < this.limits.awayMs;
  }

  #takeIn(
    fill: Fill,
    entry: StoredEntry | undefined,
    options: ReadOptions | undefined,
  ): StoredEntry | undefined {
    const admitted = entry && this.#admitted(fill.at, entry);
    if (options?.peek === true || options?.skipNear === true) return admitted;
    if (admitted === undefined) this.#copies.remove(fill.at);
    else this.#copies.fill(fill, admitted);
    return admitted;
  }

  #admitted(at: EntryAddress, entry: StoredEntry): StoredEntry {
    const value = this.#admit(entry.value, at.key);
    return value === entry.value ? entry : { ...entry, value };
  }

  async #around<T>(drop: () => void, act: () => Awaitable<T>): Promise<T> {
    drop();
    try {
      return await act();
    } finally {
      drop();
    }
  }
}
