import type { RemovalReason } from '../../core/entry.js';
import { RecencyList } from '../../core/eviction/recency-list.js';
import type { ScopePath } from '../../core/scope.js';
import type { StorageHost } from '../../core/storage.js';
import { ExpiryQueue } from './expiry-queue.js';
import { MemoryBranch } from './memory-branch.js';
import type { MemoryRecord } from './memory-record.js';
import type { MemoryLimits } from './memory-storage.js';

/** Expired entries that one turn of the sweep reclaims, so that it never holds the event loop for long. */
const SWEEP_BATCH = 10_000;

interface Swept {
  readonly removed: number;
  /** Nothing more is due. */
  readonly isDone: boolean;
}

/** Where records are: the tree of scopes, their order of use, and their order of expiry, always changed together. */
export class MemoryTable {
  #root = MemoryBranch.root();
  #bytes = 0;
  readonly #recency = new RecencyList<MemoryRecord>();
  readonly #expiry = new ExpiryQueue();
  #stopSweep: (() => void) | undefined;

  constructor(
    readonly host: StorageHost,
    readonly limits: MemoryLimits,
    /** Told of each record that leaves, after it has. */
    readonly onGone: (record: MemoryRecord, reason: RemovalReason) => void,
  ) {}

  get size(): number {
    return this.#root.count;
  }

  /** Estimated, with what scopes and tags take; 0 where nothing limits bytes. */
  get bytes(): number {
    return this.limits.measures ? this.#bytes + this.#root.upkeep.bytes : 0;
  }

  /** The record in that place, expired or not. */
  at(scope: ScopePath, key: string): MemoryRecord | undefined {
    return this.#root.find(scope)?.records.get(key);
  }

  /** The live record in that place; an expired one is removed on the way. */
  liveAt(scope: ScopePath, key: string): MemoryRecord | undefined {
    const record = this.at(scope, key);
    if (!record) return undefined;
    const now = this.host.clock.monotonic();
    if (now >= record.staleUntil) this.drop(record, 'expired');
    return now < record.freshUntil ? record : undefined;
  }

  /** All records in the subtree (or in just that scope), as they are now; may include expired ones. */
  *in(scope: ScopePath, deep = true): Generator<MemoryRecord> {
    const branch = this.#root.find(scope);
    if (branch) yield* branch.walk(deep);
  }

  /** Those in the subtree that carry one of the tags. */
  taggedIn(scope: ScopePath, tags: readonly string[]): Set<MemoryRecord> {
    const tagged = this.#root.find(scope)?.tagged;
    const found = new Set<MemoryRecord>();
    for (const tag of tags) for (const record of tagged?.get(tag) ?? []) found.add(record);
    return found;
  }

  /** Puts a record in, in place of the one with its key, and makes room at the limits. */
  put(record: MemoryRecord): void {
    const replaced = this.at(record.scope, record.key);
    const branch = replaced?.branch ?? this.#root.grow(record.scope);
    record.branch = branch;
    // One path for all of a branch: paths made for single calls stay short-lived, which the garbage collector rewards.
    record.scope = branch.path;
    record.link = this.#recency.add(record);
    this.#bytes += record.bytes;
    if (replaced) this.#takeOver(replaced, record, branch);
    else {
      branch.add(record);
      this.#expiry.add(record);
    }
    this.#makeRoom(record);
    this.#armSweep();
  }

  /** Takes a record out. Does nothing when it is gone already. */
  drop(record: MemoryRecord, reason: RemovalReason): void {
    if (record.isGone || !record.branch) return;
    record.branch.remove(record);
    this.#forget(record);
    this.#expiry.noteGone(record);
    this.onGone(record, reason);
    if (this.size === 0) this.#disarmSweep();
  }

  /** To be called when a record's end has moved. */
  rescheduled(record: MemoryRecord): void {
    this.#expiry.add(record);
  }

  /**
   * Takes the whole subtree out at once; says how many records were live. Tells of each record only when `tellEach`.
   * O(records below), with a few steps for each.
   */
  cut(scope: ScopePath, reason: RemovalReason, tellEach: boolean): number {
    const branch = this.#root.find(scope);
    if (!branch) return 0;
    const now = this.host.clock.monotonic();
    const gone: MemoryRecord[] = [];
    let live = 0;
    let queued = 0;
    branch.cut();
    if (branch === this.#root) this.#root = MemoryBranch.root();
    branch.forEach((record) => {
      if (now < record.freshUntil) live++;
      if (this.#expiry.detach(record)) queued++;
      this.#forget(record);
      if (tellEach) gone.push(record);
    });
    // Never the whole queue for one small scope of many.
    this.#expiry.noteDetached(queued);
    const expired = branch.count - live;
    if (!tellEach && live > 0) this.host.listener.onRemoval?.(reason, live, undefined, scope);
    if (!tellEach && expired > 0)
      this.host.listener.onRemoval?.('expired', expired, undefined, scope);
    for (const record of gone) this.onGone(record, now < record.freshUntil ? reason : 'expired');
    if (this.size === 0) this.#disarmSweep();
    return live;
  }

  /** Live records in the subtree. O(1) amortised: whatever is over is taken out or counted as stale first, once. */
  count(scope: ScopePath): number {
    this.sweep(Infinity);
    const branch = this.#root.find(scope);
    return branch ? branch.count - branch.stale : 0;
  }

  /** Removes what has expired and counts what has become stale, at most `batch` of them. */
  sweep(batch: number): Swept {
    const now = this.host.clock.monotonic();
    let removed = 0;
    for (let looked = 0; looked < batch; looked++) {
      const record = this.#expiry.takeDue(now);
      if (!record) return { removed, isDone: true };
      if (now >= record.staleUntil) {
        this.drop(record, 'expired');
        removed++;
      } else {
        record.branch!.becameStale(record);
        this.#expiry.add(record);
      }
    }
    return { removed, isDone: false };
  }

  /** Forgets everything without telling about each record; says how many were live. */
  clear(): number {
    const live = this.count(this.#root.path);
    for (const record of this.#root.walk()) record.isGone = true;
    this.#root = MemoryBranch.root();
    this.#bytes = 0;
    this.#recency.clear();
    this.#expiry.clear();
    this.#disarmSweep();
    return live;
  }

  close(): void {
    this.#disarmSweep();
  }

  #takeOver(old: MemoryRecord, next: MemoryRecord, branch: MemoryBranch): void {
    branch.replace(old, next);
    this.#forget(old);
    this.#expiry.handOver(old, next);
    this.onGone(old, this.host.clock.monotonic() < old.freshUntil ? 'replaced' : 'expired');
  }

  /** Everything about a record but its place in the tree. */
  #forget(record: MemoryRecord): void {
    record.isGone = true;
    this.#recency.remove(record.link!);
    this.#bytes -= record.bytes;
  }

  /**
   * The next to leave. A read only leaves a note; here, where room is needed, a record that was read since it was put in
   * its place moves to the end instead of leaving (second chance: Corbató, 1968). That keeps hits free of bookkeeping.
   */
  #victim(): MemoryRecord {
    for (;;) {
      const record = this.#recency.oldest!;
      if (!record.wasRead) return record;
      record.wasRead = false;
      this.#recency.touch(record.link!);
    }
  }

  #makeRoom(incoming: MemoryRecord): void {
    const { maxEntries, maxBytes } = this.limits;
    while (this.size > maxEntries || this.bytes > maxBytes) {
      // A value that alone is over the limit leaves at once; the others need not make room for it.
      const isTooLarge = incoming.bytes > maxBytes && !incoming.isGone;
      const victim = isTooLarge ? incoming : this.#victim();
      const isExpired = this.host.clock.monotonic() >= victim.staleUntil;
      this.drop(victim, isExpired ? 'expired' : this.size > maxEntries ? 'lru' : 'size');
    }
  }

  #armSweep(): void {
    if (this.#stopSweep || this.limits.sweepMs === Infinity) return;
    this.#stopSweep = this.host.clock.after(this.limits.sweepMs, () => this.#sweepTurn());
  }

  #sweepTurn(): void {
    this.#stopSweep = undefined;
    const { isDone } = this.sweep(SWEEP_BATCH);
    if (this.size === 0) return;
    if (isDone) this.#armSweep();
    else this.#stopSweep = this.host.clock.after(1, () => this.#sweepTurn());
  }

  #disarmSweep(): void {
    this.#stopSweep?.();
    this.#stopSweep = undefined;
  }
}
