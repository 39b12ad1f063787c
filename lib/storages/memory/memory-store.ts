import type { NewEntry, RemovalReason, StoredEntry } from '../../core/entry.js';
import { isPromise } from '../../core/guard.js';
import type { ScopePath } from '../../core/scope.js';
import type {
  Awaitable,
  Change,
  ChangeResult,
  EntryAddress,
  ListedEntry,
  ListOptions,
  OpenStorage,
  ReadOptions,
  StorageHost,
  WriteOptions,
} from '../../core/storage.js';
import { MemoryChanges } from './memory-changes.js';
import type { MemoryRecord } from './memory-record.js';
import type { MemoryLimits } from './memory-storage.js';
import type { MemoryTable } from './memory-table.js';
import { MemoryWrites } from './memory-writes.js';
import type { RuleRunner } from './rule-runner.js';

/** The memory storage of one cache. Synchronous, unless a rule is asynchronous. */
export class MemoryStore implements OpenStorage {
  readonly type = 'memory';
  readonly holds = 'values';
  readonly isLocal = true;
  readonly #writes: MemoryWrites;
  readonly #changes: MemoryChanges;
  readonly #table: MemoryTable;
  readonly #rules: RuleRunner;
  readonly #hasRules: boolean;

  constructor(
    readonly host: StorageHost,
    readonly limits: MemoryLimits,
  ) {
    this.#writes = new MemoryWrites(host, limits);
    this.#table = this.#writes.table;
    this.#rules = this.#writes.rules;
    this.#hasRules = this.#writes.hasRules;
    this.#changes = new MemoryChanges(this.#table, this.#writes);
  }

  read(at: EntryAddress, options?: ReadOptions): Awaitable<StoredEntry | undefined> {
    const record = this.#table.at(at.scope, at.key);
    if (record === undefined) return undefined;
    const now = this.host.clock.monotonic();
    if (now >= record.staleUntil) {
      this.#table.drop(record, 'expired');
      return this.#settled(undefined);
    }
    if (options !== undefined && options.peek === true) return record;
    record.usedAt = now;
    record.wasRead = true;
    if (record.sliding && now < record.freshUntil) record.renew(now, record.ttlMs);
    if (!this.#hasRules) return record;
    this.#rules.onGet(record);
    return this.#settled(record);
  }

  readMany(
    at: readonly EntryAddress[],
    options?: ReadOptions,
  ): Awaitable<(StoredEntry | undefined)[]> {
    const entries = at.map((one) => this.read(one, options));
    return entries.some(isPending)
      ? Promise.all(entries)
      : (entries as (StoredEntry | undefined)[]);
  }

  write(at: EntryAddress, entry: NewEntry, options?: WriteOptions): Awaitable<boolean> {
    return this.#writes.insert(at, entry, options, undefined);
  }

  writeMany(
    items: readonly (readonly [EntryAddress, NewEntry])[],
    options?: WriteOptions,
  ): Awaitable<void> {
    const written = items.map(([at, entry]) => this.write(at, entry, options));
    return written.some(isPending) ? Promise.all(written).then(() => undefined) : undefined;
  }

  remove(at: EntryAddress): Awaitable<boolean> {
    return this.#settled(this.#writes.removeNow(at));
  }

  removeMany(at: readonly EntryAddress[]): Awaitable<number> {
    let removed = 0;
    for (const one of at) if (this.#writes.removeNow(one)) removed++;
    return this.#settled(removed);
  }

  touch(at: EntryAddress, ttlMs: number): Awaitable<boolean> {
    const record = this.#table.liveAt(at.scope, at.key);
    if (record) {
      record.renew(this.host.clock.monotonic(), ttlMs);
      record.usedAt = this.host.clock.monotonic();
      record.wasRead = true;
      this.#table.rescheduled(record);
    }
    return this.#settled(record !== undefined);
  }

  change(at: EntryAddress, change: Change): Awaitable<ChangeResult> {
    return this.#changes.change(at, change);
  }

  increment(at: EntryAddress, by: number, ttlMs: number): Awaitable<number> {
    return this.#changes.increment(at, by, ttlMs);
  }

  evictScope(scope: ScopePath): Awaitable<number> {
    this.#writes.waiting.overtakeIn(scope);
    return this.#settled(this.#table.cut(scope, 'scope', this.#hasRules));
  }

  evictTags(scope: ScopePath, tags: readonly string[]): Awaitable<number> {
    this.#writes.waiting.overtakeIn(scope, tags);
    return this.#settled(this.#removeAll(this.#table.taggedIn(scope, tags), 'tag'));
  }

  expire(scope: ScopePath, tags: readonly string[] | undefined): Awaitable<number> {
    this.#writes.waiting.overtakeIn(scope, tags);
    const now = this.host.clock.monotonic();
    let expired = 0;
    for (const record of tags ? this.#table.taggedIn(scope, tags) : [...this.#table.in(scope)]) {
      if (now < record.freshUntil) expired++;
      record.freshUntil = Math.min(record.freshUntil, now);
      if (record.graceMs === 0) this.#table.drop(record, 'expired');
      else {
        record.staleUntil = Math.min(record.staleUntil, now + record.graceMs);
        this.#table.rescheduled(record);
      }
    }
    return this.#settled(expired);
  }

  clear(): Awaitable<void> {
    this.#writes.clear();
    return this.#settled(undefined);
  }

  async *list(scope: ScopePath, options: ListOptions): AsyncGenerator<ListedEntry> {
    for (const record of this.#table.in(scope, options.deep))
      if (!record.isGone && this.host.clock.monotonic() < record.freshUntil)
        yield { address: { scope: record.scope, key: record.key }, entry: record };
  }

  count(scope: ScopePath): Awaitable<number> {
    return this.#settled(this.#table.count(scope));
  }

  removeExpired(): Awaitable<number> {
    return this.#settled(this.#table.sweep(Infinity).removed);
  }

  removeIdle(scope: ScopePath, idleMs: number): Awaitable<number> {
    const before = this.host.clock.monotonic() - idleMs;
    const idle = [...this.#table.in(scope)].filter((record) => record.usedAt < before);
    return this.#settled(this.#removeAll(idle, 'idle'));
  }

  figures(): Readonly<Record<string, number>> {
    const { maxEntries, maxBytes } = this.limits;
    return { entries: this.#table.size, bytes: this.#table.bytes, maxEntries, maxBytes };
  }

  async close(): Promise<void> {
    this.#writes.close();
    await this.#settled(undefined);
  }

  #removeAll(records: Iterable<MemoryRecord>, reason: RemovalReason): number {
    const now = this.host.clock.monotonic();
    let live = 0;
    for (const record of records) {
      const isLive = now < record.freshUntil;
      if (isLive) live++;
      this.#table.drop(record, isLive ? reason : 'expired');
    }
    return live;
  }

  /** The result, or a promise of it when asynchronous rules are at work. */
  #settled<T>(result: T): Awaitable<T> {
    return this.#hasRules ? this.#rules.whenSettled(result) : result;
  }
}

function isPending(value: unknown): boolean {
  return isPromise(value as Awaitable<unknown>);
}
