import type { RemovalReason } from '../entry.js';
import type { ScopeTree } from '../scope-tree.js';
import type { ScopePath } from '../scope.js';
import type { Clock } from '../clock.js';

/** An entry as rules see it. One object for the whole life of an entry, so it may be a Map key. */
export interface RuleEntry {
  readonly key: string;
  readonly scope: ScopePath;
  readonly tags: readonly string[];
  /** Estimated bytes, key included; 0 unless a limit of the storage or a rule's `needsBytes` asks for them. */
  readonly bytes: number;
  /** Monotonic ms. */
  readonly storedAt: number;
}

/** What a rule wants done. `entry` defaults to the one the hook was called with. */
export type RuleEffect =
  /** Remove an entry; from `onSet`, of the incoming one: do not store it. */
  | { readonly action: 'evict'; readonly entry?: RuleEntry; readonly reason?: RemovalReason }
  /** Store a value under a key of the same scope, with a life in seconds (default: the entry's own). */
  | { readonly action: 'set'; readonly key: string; readonly value: unknown; readonly ttl?: number }
  /** Count a read of an entry, as if a caller had read it. */
  | { readonly action: 'get'; readonly entry?: RuleEntry }
  /** Remove everything. */
  | { readonly action: 'clear' };

/** Nothing, one effect, or several in order. */
export type RuleAnswer = RuleEffect | readonly RuleEffect[] | null | undefined | void;

/** What a rule may ask of the storage that it serves. */
export interface RuleHost {
  readonly clock: Clock;
  /** The scope levels of the cache. */
  readonly scopes: ScopeTree;
}

/**
 * A policy of eviction, told of what happens and answering with effects. Hooks run in the order of the `rules` option.
 *
 * A hook may be asynchronous: the operation then waits for it. One that throws or rejects is reported to the listener
 * and otherwise ignored, so a broken rule never breaks a read or a write.
 *
 * E1 `onSet` runs before the write, with the incoming entry; effects of one rule are applied before the next is asked.
 * E2 `onGet` runs only on a hit, after the read.
 * E3 `onEvict` runs after an entry has left, whatever the reason; `onClear` after everything has.
 * E4 an effect on an entry that is no longer there does nothing.
 */
export interface EvictionRule {
  /** Shown in messages and statistics. */
  readonly name: string;
  /** The storage keeps no entry longer than this many ms after it was stored. Default: no limit of the rule's. */
  readonly maxAgeMs?: number;
  /** It looks at `bytes` of entries, so that they must be measured. Default `false`. */
  readonly needsBytes?: boolean;
  /**
   * A copy with empty state. Called once for each cache, so that one options object can serve several.
   * Without it the object itself is used, so give each cache its own.
   * @throws InvalidOptionsError when the rule cannot be kept in this cache, which is then not made
   */
  fresh?(host: RuleHost): EvictionRule;
  onGet?(entry: RuleEntry): RuleAnswer | Promise<RuleAnswer>;
  /** `replaces`: the live entry that the incoming one takes the place of, if any. */
  onSet?(entry: RuleEntry, replaces: RuleEntry | undefined): RuleAnswer | Promise<RuleAnswer>;
  onEvict?(entry: RuleEntry, reason: RemovalReason): RuleAnswer | Promise<RuleAnswer>;
  onClear?(): RuleAnswer | Promise<RuleAnswer>;
}
