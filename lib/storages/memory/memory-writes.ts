import type { NewEntry, RemovalReason } from '../../core/entry.js';
import { describe, InvalidOptionsError } from '../../core/errors.js';
import type { RuleEffect, RuleEntry } from '../../core/eviction/eviction-rule.js';
import { isPromise } from '../../core/guard.js';
import { GLOBAL_SCOPE } from '../../core/scope.js';
import type { Awaitable, EntryAddress, StorageHost, WriteOptions } from '../../core/storage.js';
import { sizeOf } from '../../core/value/size.js';
import { MemoryRecord } from './memory-record.js';
import type { MemoryLimits } from './memory-storage.js';
import { MemoryTable } from './memory-table.js';
import { RuleRunner } from './rule-runner.js';
import { WaitingWrites } from './waiting-writes.js';
import { Watches } from './watches.js';

/** What an entry takes beside its key and value: the record, its links, its places in maps and queues. */
const RECORD_BYTES = 400;
/** What each of its tags takes at each level. */
const TAGGED_BYTES = 60;

/** Expired entries reclaimed before rules are asked about an incoming one. */
const EXPIRED_MAX = 1_000;

/** How entries come into the table: measured, with the rules asked, and with what the rules want done. */
export class MemoryWrites {
  readonly rules: RuleRunner;
  readonly hasRules: boolean;
  readonly table: MemoryTable;
  readonly waiting = new WaitingWrites();
  readonly watches = new Watches();
  readonly #measures: boolean;
  #isClosed = false;

  constructor(
    readonly host: StorageHost,
    limits: MemoryLimits,
  ) {
    this.rules = new RuleRunner([...limits.rules, ...host.rules], host, (effect, entry) =>
      this.#apply(effect, entry),
    );
    this.hasRules = !this.rules.isEmpty;
    this.#measures = limits.measures || this.rules.needBytes;
    this.table = new MemoryTable(host, limits, (record, reason) => this.#noteGone(record, reason));
  }

  /**
   * `false`: it was called off, or a rule refused it.
   * @param endsWith the record whose end it takes over
   */
  insert(
    at: EntryAddress,
    entry: NewEntry,
    options: WriteOptions | undefined,
    endsWith: MemoryRecord | undefined,
  ): Awaitable<boolean> {
    const now = this.host.clock.monotonic();
    const bytes = this.#measures ? bytesOf(at, entry) : 0;
    const latestEnd = this.hasRules ? now + this.rules.maxAgeMs : undefined;
    const record = new MemoryRecord(at.scope, at.key, entry, now, latestEnd, bytes);
    if (endsWith) record.endWith(endsWith);
    if (!this.hasRules) return this.#put(record, options);
    // Rules count entries, and the expired ones, which nobody can read any more, must not stand in anybody's way.
    this.table.sweep(EXPIRED_MAX);
    const replaces = this.table.liveAt(at.scope, at.key);
    const written = this.rules.beforeSet(record, replaces, () => this.#put(record, options));
    if (!isPromise(written)) return this.settled(written);
    // Whoever brings a condition looks out for what is newer by itself; and what it brings need not be newer than these.
    if (options?.stillValid === undefined) this.waiting.add(record);
    return written.then((stored) => this.settled(stored));
  }

  removeNow(at: EntryAddress): boolean {
    this.waiting.overtakeKey(at.scope, at.key);
    return this.#drop(at);
  }

  clear(): void {
    this.waiting.overtakeIn(GLOBAL_SCOPE);
    const live = this.table.clear();
    if (live > 0) this.host.listener.onRemoval?.('cleared', live);
    this.rules.onClear();
  }

  /** The result, or a promise of it when asynchronous rules are at work. */
  settled<T>(result: T): Awaitable<T> {
    return this.hasRules ? this.rules.whenSettled(result) : result;
  }

  /** Nothing is put in any more. */
  close(): void {
    this.#isClosed = true;
    this.table.close();
  }

  #drop(at: EntryAddress): boolean {
    const record = this.table.at(at.scope, at.key);
    if (!record) return false;
    const isLive = this.host.clock.monotonic() < record.freshUntil;
    this.table.drop(record, isLive ? 'deleted' : 'expired');
    return isLive;
  }

  /** Synchronous: what was checked just before still holds when the entry is in. */
  #put(record: MemoryRecord, options: WriteOptions | undefined): boolean {
    const isNewest = options?.stillValid ? options.stillValid() : this.waiting.take(record);
    const isCalledOff = !isNewest || this.#isClosed;
    if (isCalledOff) this.rules.onEvict(record, 'deleted');
    // A rule refused it: nothing is kept then, nothing older either.
    else if (record.isGone) this.#drop(record);
    else this.#putNow(record);
    return !isCalledOff && !record.isGone;
  }

  #putNow(record: MemoryRecord): void {
    this.watches.note(record);
    this.table.put(record);
  }

  #noteGone(record: MemoryRecord, reason: RemovalReason): void {
    this.host.listener.onRemoval?.(reason, 1, record.key, record.scope);
    if (this.hasRules) this.rules.onEvict(record, reason);
  }

  #apply(effect: RuleEffect, asked: RuleEntry | undefined): void {
    switch (effect.action) {
      case 'clear':
        return this.clear();
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
    if (record.branch) return this.table.drop(record, reason);
    // The incoming entry, not in the table yet: refused.
    record.isGone = true;
    this.#noteGone(record, reason);
  }

  #applySet(effect: Extract<RuleEffect, { action: 'set' }>, asked: RuleEntry | undefined): void {
    if (!asked) return;
    const value = this.host.admit ? this.host.admit(effect.value, effect.key) : effect.value;
    const ttlMs = effect.ttl === undefined ? (asked as MemoryRecord).ttlMs : effect.ttl * 1_000;
    const at = { scope: asked.scope, key: effect.key };
    const written = this.insert(
      at,
      { value, ttlMs, graceMs: 0, sliding: false, tags: [] },
      undefined,
      undefined,
    );
    if (isPromise(written))
      written.catch((error: unknown) =>
        this.host.listener.onFault?.({ during: 'rule', storage: 'memory', error }),
      );
  }
}

function bytesOf({ scope, key }: EntryAddress, { value, tags }: NewEntry): number {
  let bytes = RECORD_BYTES + key.length * 2 + sizeOf(value);
  for (const tag of tags) bytes += tag.length * 2 + TAGGED_BYTES * (scope.ids.length + 1);
  return bytes;
}
