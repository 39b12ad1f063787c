import type { CopyPlan, NewEntry, StoredEntry } from '../../core/entry.js';
import type { RuleEntry } from '../../core/eviction/eviction-rule.js';
import type { Link } from '../../core/eviction/recency-list.js';
import type { ScopePath } from '../../core/scope.js';
import type { ExpirySlot } from './expiry-queue.js';
import type { MemoryBranch } from './memory-branch.js';

const NO_TAGS: readonly string[] = Object.freeze([]);

/** One entry in memory. The same object is what readers and rules see, so a hit allocates nothing. */
export class MemoryRecord implements StoredEntry, RuleEntry {
  // First what a hit touches, so that it lies together in memory.
  readonly value: unknown;
  copyPlan: CopyPlan | undefined = undefined;
  staleUntil: number;
  freshUntil: number;
  sliding: boolean;
  /** Monotonic ms of the last read or write, for `removeIdle`. */
  usedAt: number;
  /** Since it got its place in the order of use. Not told from `usedAt`: many reads and writes fall into one ms. */
  wasRead = false;
  readonly key: string;
  scope: ScopePath;
  readonly tags: readonly string[];
  readonly storedAt: number;
  readonly loadMs: number;
  ttlMs: number;
  graceMs: number;
  /** No entry outlives this, whatever renews it. */
  readonly latestEnd: number | undefined;
  readonly bytes: number;
  /** Gone from its branch. */
  isGone = false;
  /** Counted as stale where it lies: past its TTL, within its grace. A stale record never becomes fresh again. */
  isStale = false;
  /** Where the expiry queue has it; `undefined` while it has not. */
  slot: ExpirySlot | undefined;
  /** Set while it is in the table. */
  branch: MemoryBranch | undefined;
  link: Link<MemoryRecord> | undefined;

  constructor(
    scope: ScopePath,
    key: string,
    entry: NewEntry,
    now: number,
    latestEnd: number | undefined,
    bytes: number,
  ) {
    this.scope = scope;
    this.key = key;
    this.latestEnd = latestEnd;
    this.bytes = bytes;
    this.value = entry.value;
    // Handed out with the entry, and what the index of tags goes by.
    this.tags = entry.tags.length === 0 ? NO_TAGS : Object.freeze(entry.tags);
    this.loadMs = entry.loadMs ?? 0;
    this.sliding = entry.sliding;
    this.storedAt = this.usedAt = now;
    this.ttlMs = entry.ttlMs;
    this.graceMs = entry.graceMs;
    const end = now + (entry.remainingMs ?? entry.ttlMs);
    this.freshUntil = earlier(end, latestEnd);
    this.staleUntil = earlier(end + entry.graceMs, latestEnd);
  }

  /** When the expiry queue has to look at it: at the end of its TTL, then at the end of its grace. */
  get nextEnd(): number {
    return this.isStale ? this.staleUntil : Math.min(this.freshUntil, this.staleUntil);
  }

  /** Ends when `other` does: for a new value under an old expiry. */
  endWith(other: MemoryRecord): void {
    this.ttlMs = other.ttlMs;
    this.graceMs = other.graceMs;
    this.freshUntil = other.freshUntil;
    this.staleUntil = other.staleUntil;
  }

  /** A new life from `now`. */
  renew(now: number, ttlMs: number): void {
    this.ttlMs = ttlMs;
    this.freshUntil = earlier(now + ttlMs, this.latestEnd);
    this.staleUntil = earlier(now + ttlMs + this.graceMs, this.latestEnd);
  }
}

function earlier(end: number, limit: number | undefined): number {
  return limit === undefined || end < limit ? end : limit;
}
