import type { StoredEntry } from './entry.js';

/** How a load ended, shared by all who waited for it. */
export interface Landing {
  /** In admitted form: each caller releases a copy of its own. */
  readonly value: unknown;
  readonly from: 'loader' | 'storage';
  readonly stored: boolean;
  /** Its key was written or evicted meanwhile: callers who came after that must not use it. */
  readonly fenced: boolean;
  /**
   * The last caller (they are numbered) who had come when this value was still known to be right. Whoever joined later may
   * have come after an eviction in another process, which nobody has told this one.
   */
  readonly lastCaller: number;
  /** Monotonic ms; `undefined` when it was not stored. */
  readonly freshUntil: number | undefined;
  readonly tags: readonly string[];
}

/** What a caller of `Loading.obtain` gets. */
export interface Obtained extends Landing {
  readonly outcome: 'loaded' | 'joined' | 'stale';
}

/** A value past its TTL, which stands in for a load that failed or takes too long. */
export function standIn(stale: StoredEntry): Obtained {
  return {
    value: stale.value,
    from: 'storage',
    stored: false,
    fenced: false,
    lastCaller: Infinity,
    freshUntil: stale.freshUntil,
    tags: stale.tags,
    outcome: 'stale',
  };
}
