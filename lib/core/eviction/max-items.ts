import type { EvictionRule, RuleEffect, RuleEntry } from './eviction-rule.js';
import { checkKnown } from '../known-options.js';
import { checkLevel, checkLimits, groupOf } from './lru.js';

/** For `maxItems`. */
export interface MaxItemsOptions {
  /** Entries at most. A whole number from 1 up. */
  readonly max: number;
  /** Applies the limit to each scope of this level (its subtree) by itself. Default: to the whole cache. */
  readonly per?: string;
}

/**
 * Refuses new keys at the limit; existing ones may be updated. A refused value still reaches its caller and is counted.
 * @throws InvalidOptionsError for wrong options; for a `per` that is no scope level, when the cache is made
 */
export function maxItems(options: MaxItemsOptions): EvictionRule {
  checkLimits('maxItems', options);
  checkKnown('maxItems', options, ['max', 'per']);
  return {
    name: 'max-items',
    fresh(host) {
      checkLevel('maxItems', options.per, host);
      return new MaxItemsRule(options);
    },
  };
}

class MaxItemsRule implements EvictionRule {
  readonly name = 'max-items';
  readonly #counts = new Map<string, number>();
  /** Entries counted, so that a refused one's removal is not counted off. */
  readonly #counted = new Set<RuleEntry>();

  constructor(readonly options: MaxItemsOptions) {}

  onSet(entry: RuleEntry, replaces: RuleEntry | undefined): RuleEffect | undefined {
    const group = groupOf(entry, this.options.per);
    if (group === undefined) return undefined;
    const count = this.#counts.get(group) ?? 0;
    if (count >= this.options.max && !replaces)
      return { action: 'evict', entry, reason: 'max-items' };
    this.#counted.add(entry);
    this.#counts.set(group, count + 1);
    return undefined;
  }

  onEvict(entry: RuleEntry): void {
    if (!this.#counted.delete(entry)) return;
    const group = groupOf(entry, this.options.per)!;
    const count = this.#counts.get(group)! - 1;
    if (count === 0) this.#counts.delete(group);
    else this.#counts.set(group, count);
  }

  onClear(): void {
    this.#counts.clear();
    this.#counted.clear();
  }
}
