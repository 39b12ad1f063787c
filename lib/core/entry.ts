/**
 * What a storage keeps for one key, as the core sees it. Immutable for readers.
 *
 * Times are on the host clock's **monotonic** scale, so wall-clock jumps cannot revive or expire anything (P7).
 * A storage that shares entries with other processes keeps wall-clock times and a native expiry, and converts.
 */
export interface StoredEntry {
  readonly value: unknown;
  /** From here on the entry is no hit any more (`monotonic() >= freshUntil`). `Infinity`: forever. */
  readonly freshUntil: number;
  /** From here on the entry must not be returned at all. Equals `freshUntil` when there is no grace. */
  readonly staleUntil: number;
  /** The life it was stored with, in ms. What a sliding read restores. */
  readonly ttlMs: number;
  /** When it was stored, monotonic ms. */
  readonly storedAt: number;
  readonly sliding: boolean;
  readonly tags: readonly string[];
  /** How long the load took, in ms, for early expiration; absent when it was not loaded or the storage does not keep it. */
  readonly loadMs?: number;
  /** @internal the core's own note of how to copy the value; a storage that keeps values leaves it alone. */
  copyPlan?: CopyPlan | undefined;
}

/**
 * How to copy the values of one shape: which of their fields hold objects and of what shape, so that a hit looks at no
 * other. A kept value never changes, so its plan stays true.
 */
export interface CopyPlan {
  readonly kind: 'fields' | 'list' | 'anything';
  /** Fields that hold objects, and how to copy these. */
  readonly names: readonly string[];
  /** For a list at most one: how to copy each of its items; none when they are primitive. */
  readonly parts: readonly CopyPlan[];
  /** Injective: plans with equal shapes do the same. */
  readonly shape: string;
}

/** What the core asks a storage to keep. Lifetimes start when the storage takes it. */
export interface NewEntry {
  /** Already admitted by the value policy: the storage owns it and must not hand it to anybody but the core. */
  readonly value: unknown;
  /** Above 0; `Infinity`: forever. */
  readonly ttlMs: number;
  /**
   * What is left of `ttlMs`, for an entry that comes back from a snapshot; above 0, at most `ttlMs`. Default: all of it.
   * A sliding one has this to be read in, and `ttlMs` again from then on.
   */
  readonly remainingMs?: number;
  /** How long after `ttlMs` the entry may still be served stale. 0: not at all. */
  readonly graceMs: number;
  /** A read restores `ttlMs`. */
  readonly sliding: boolean;
  readonly tags: readonly string[];
  readonly loadMs?: number;
}

/** When the life of an entry taken at `now` began: such that what is left of it ends when it should. */
export function startOf({ ttlMs, remainingMs }: NewEntry, now: number): number {
  return remainingMs === undefined || ttlMs === Infinity ? now : now - (ttlMs - remainingMs);
}

/** The one rule of expiry: a hit at `ttl - 1 ms`, none at `ttl` (P7). */
export function isFresh(entry: StoredEntry, monotonicNow: number): boolean {
  return monotonicNow < entry.freshUntil;
}

/** Whether the entry may be returned at all, fresh or within its grace. */
export function isUsable(entry: StoredEntry, monotonicNow: number): boolean {
  return monotonicNow < entry.staleUntil;
}

/** Why an entry left the cache. */
export type RemovalReason =
  /** `delete`, `deleteMany`, `set` with ttl 0 */
  | 'deleted'
  /** `set` and its kin over a live entry */
  | 'replaced'
  /** its TTL (and grace), or the limit of `timeToLive()`, ran out */
  | 'expired'
  /** `evictScope` */
  | 'scope'
  /** `evictTags`, `@CacheEvict({ allEntries })` */
  | 'tag'
  /** `clear` */
  | 'cleared'
  /** the entry limit of the storage or of `lru()` */
  | 'lru'
  /** the byte limit */
  | 'size'
  /** `maxItems()` refused a new key */
  | 'max-items'
  /** a custom rule asked for it */
  | 'rule'
  /** `removeIdle` */
  | 'idle';
