import type { NewEntry, RemovalReason, StoredEntry } from '../../core/entry.js';
import { describe, InvalidOptionsError, typeInWords } from '../../core/errors.js';
import type { RuleEffect, RuleEntry } from '../../core/eviction/eviction-rule.js';
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
import { sizeOf } from '../../core/value/size.js';
import { MemoryRecord } from './memory-record.js';
import type { MemoryLimits } from './memory-storage.js';
import { MemoryTable } from './memory-table.js';
import { RuleRunner } from './rule-runner.js';

/** What an entry takes beside its key and value: the record, its links, its places in maps and queues. */
const RECORD_BYTES = 400;

/** Expired entries reclaimed before rules are asked about an incoming one. */
const EXPIRED_MAX = 1_000;

/** The memory storage of one cache. Synchronous, unless a rule is asynchronous. */
export class MemoryStore implements OpenStorage {
  readonly type = 'memory';
  readonly holds = 'values';
  readonly isLocal = true;
  readonly #table: MemoryTable;
  readonly #rules: RuleRunner;
  readonly #hasRules: boolean;
  readonly #measures: boolean;
  #isClosed = false;

  constructor(
    readonly host: StorageHost,
    readonly limits: MemoryLimits,
  ) {
    this.#rules = new RuleRunner([...limits.rules, ...host.rules], host, (effect, entry) =>
      this.#apply(effect, entry),
    );
    this.#hasRules = !this.#rules.isEmpty;
    this.#measures = limits.measures || this.#rules.needBytes;
    this.#table = new MemoryTable(host, limits, (record, reason) => this.#noteGone(record, reason));
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
    return this.#insert(at, entry, options, undefined);
  }

  writeMany(
    items: readonly (readonly [EntryAddress, NewEntry])[],
    options?: WriteOptions,
  ): Awaitable<void> {
    const written = items.map(([at, entry]) => this.write(at, entry, options));
    return written.some(isPending) ? Promise.all(written).then(() => undefined) : undefined;
  }

  remove(at: EntryAddress): Awaitable<boolean> {
    return this.#settled(this.#removeNow(at));
  }

  removeMany(at: readonly EntryAddress[]): Awaitable<number> {
    let removed = 0;
    for (const one of at) if (this.#removeNow(one)) removed++;
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
    const current = this.#table.liveAt(at.scope, at.key);
    const result = change(current);
    if (isPromise(result)) return this.#changeLater(at, change, current, result);
    const applied = this.#applyChange(at, current, result);
    if (isPromise(applied))
      return applied.then((done) => (done ? result : this.#changeAnew(at, change)));
    return applied ? result : this.#changeAnew(at, change);
  }

  increment(at: EntryAddress, by: number, ttlMs: number): Awaitable<number> {
    let sum = 0;
    const changed = this.change(at, (current) => {
      const value: unknown = current ? current.value : 0;
      if (typeof value !== 'number' || !Number.isFinite(value))
        throw new InvalidOptionsError(
          `increment: ${at.key} in scope ${at.scope} holds ${typeInWords(value)}, which cannot be counted with: only finite numbers can.`,
        );
      sum = value + by;
      if (!current) return { write: { value: sum, ttlMs, graceMs: 0, sliding: false, tags: [] } };
      const { graceMs, sliding, tags } = current as MemoryRecord;
      return { write: { value: sum, ttlMs, graceMs, sliding, tags }, ttl: 'remaining' };
    });
    return isPromise(changed) ? changed.then(() => sum) : sum;
  }

  evictScope(scope: ScopePath): Awaitable<number> {
    return this.#settled(this.#table.cut(scope, 'scope', this.#hasRules));
  }

  evictTags(scope: ScopePath, tags: readonly string[]): Awaitable<number> {
    return this.#settled(this.#removeAll(this.#table.taggedIn(scope, tags), 'tag'));
  }

  expire(scope: ScopePath, tags: readonly string[] | undefined): Awaitable<number> {
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
    const live = this.#table.clear();
    if (live > 0) this.host.listener.onRemoval?.('cleared', live);
    this.#rules.onClear();
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
    this.#isClosed = true;
    this.#table.close();
    await this.#settled(undefined);
  }

  #insert(
    at: EntryAddress,
    entry: NewEntry,
    options: WriteOptions | undefined,
    endsWith: MemoryRecord | undefined,
  ): Awaitable<boolean> {
    const now = this.host.clock.monotonic();
    const bytes = this.#measures ? RECORD_BYTES + at.key.length * 2 + sizeOf(entry.value) : 0;
    const latestEnd = this.#hasRules ? now + this.#rules.maxAgeMs : undefined;
    const record = new MemoryRecord(at.scope, at.key, entry, now, latestEnd, bytes);
    if (endsWith) record.endWith(endsWith);
    if (!this.#hasRules) return this.#put(record, options);
    // Rules count entries, and the expired ones, which nobody can read any more, must not stand in anybody's way.
    this.#table.sweep(EXPIRED_MAX);
    const replaces = this.#table.liveAt(at.scope, at.key);
    const written = this.#rules.beforeSet(record, replaces, () => this.#put(record, options));
    return isPromise(written)
      ? written.then((stored) => this.#settled(stored))
      : this.#settled(written);
  }

  /** Synchronous: what was checked just before still holds when the entry is in. */
  #put(record: MemoryRecord, options: WriteOptions | undefined): boolean {
    const isCalledOff = this.#isClosed || options?.stillValid?.() === false;
    if (isCalledOff) this.#rules.onEvict(record, 'deleted');
    // A rule refused it: nothing is kept then, nothing older either.
    else if (record.isGone) this.#removeNow({ scope: record.scope, key: record.key });
    else this.#table.put(record);
    return !isCalledOff && !record.isGone;
  }

  async #changeLater(
    at: EntryAddress,
    change: Change,
    first: StoredEntry | undefined,
    pending: Promise<ChangeResult>,
  ): Promise<ChangeResult> {
    const result = await pending;
    const isOvertaken = this.#table.liveAt(at.scope, at.key) !== first;
    if (!isOvertaken && (await this.#applyChange(at, first, result))) return result;
    return this.#changeAnew(at, change);
  }

  /** Another writer was faster while the change, or a rule, was thinking: think again about what is there now. */
  async #changeAnew(at: EntryAddress, change: Change): Promise<ChangeResult> {
    return this.change(at, change);
  }

  /** `false`: another writer was faster while a rule was thinking, and nothing was written. */
  #applyChange(
    at: EntryAddress,
    current: StoredEntry | undefined,
    result: ChangeResult,
  ): Awaitable<boolean> {
    if (!('write' in result)) return true;
    if (result.stillValid?.() === false) return false;
    result.beforeWrite?.();
    const endsWith = result.ttl === 'remaining' ? (current as MemoryRecord | undefined) : undefined;
    let isOvertaken = false;
    const stillValid = (): boolean => {
      isOvertaken =
        this.#table.liveAt(at.scope, at.key) !== current || result.stillValid?.() === false;
      return !isOvertaken;
    };
    const options = this.#hasRules ? { stillValid } : undefined;
    const written = this.#insert(at, result.write, options, endsWith);
    return isPromise(written) ? written.then(() => !isOvertaken) : !isOvertaken;
  }

  #removeNow(at: EntryAddress): boolean {
    const record = this.#table.at(at.scope, at.key);
    if (!record) return false;
    const isLive = this.host.clock.monotonic() < record.freshUntil;
    this.#table.drop(record, isLive ? 'deleted' : 'expired');
    return isLive;
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

  #noteGone(record: MemoryRecord, reason: RemovalReason): void {
    this.host.listener.onRemoval?.(reason, 1, record.key, record.scope);
    if (this.#hasRules) this.#rules.onEvict(record, reason);
  }

  #apply(effect: RuleEffect, asked: RuleEntry | undefined): void {
    switch (effect.action) {
      case 'clear':
        void this.clear();
        return;
      case 'set':
        return this.#applySet(effect, asked);
      case 'get': {
        const record = (effect.entry ?? asked) as MemoryRecord | undefined;
        if (record && !record.isGone) {
          record.usedAt = this.host.clock.monotonic();
          record.wasRead = true;
        }
        return;
      }
      case 'evict':
        return this.#applyEvict(
          (effect.entry ?? asked) as MemoryRecord | undefined,
          effect.reason ?? 'rule',
        );
      default:
        throw new InvalidOptionsError(
          `a rule asked for ${describe((effect as { action?: unknown }).action)}; known actions are evict, set, get and clear.`,
        );
    }
  }

  #applyEvict(record: MemoryRecord | undefined, reason: RemovalReason): void {
    if (!record || record.isGone) return;
    if (record.branch) return this.#table.drop(record, reason);
    // The incoming entry, not in the table yet: refused.
    record.isGone = true;
    this.#noteGone(record, reason);
  }

  #applySet(effect: Extract<RuleEffect, { action: 'set' }>, asked: RuleEntry | undefined): void {
    if (!asked) return;
    const value = this.host.admit ? this.host.admit(effect.value, effect.key) : effect.value;
    const ttlMs = effect.ttl === undefined ? (asked as MemoryRecord).ttlMs : effect.ttl * 1_000;
    const at = { scope: asked.scope, key: effect.key };
    const written = this.#insert(
      at,
      { value, ttlMs, graceMs: 0, sliding: false, tags: [] },
      undefined,
      undefined,
    );
    if (isPromise(written))
      written.catch((error: unknown) =>
        this.host.listener.onFault?.({ during: 'rule', storage: this.type, error }),
      );
  }

  /** The result, or a promise of it when asynchronous rules are at work. */
  #settled<T>(result: T): Awaitable<T> {
    return this.#hasRules ? this.#rules.whenSettled(result) : result;
  }
}

function isPending(value: unknown): boolean {
  return isPromise(value as Awaitable<unknown>);
}
