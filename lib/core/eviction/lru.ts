import { describe, InvalidOptionsError } from '../errors.js';
import { checkKnown } from '../known-options.js';
import type { EvictionRule, RuleEffect, RuleEntry, RuleHost } from './eviction-rule.js';
import { RecencyList, type Link } from './recency-list.js';

/** For `lru`. At least one limit. */
export interface LruOptions {
  /** Entries at most. A whole number from 1 up. */
  readonly max?: number;
  /** Estimated bytes at most, keys included. */
  readonly maxBytes?: number;
  /** Applies the limits to each scope of this level (its subtree) by itself. Default: to the whole cache. */
  readonly per?: string;
  /** Looks only at entries for which this is true, for example those of one `@Cacheable` name. Default: all. */
  readonly only?: (entry: RuleEntry) => boolean;
}

/**
 * Makes room for a new entry by removing the longest unused ones. O(1) for each read and write.
 * @throws InvalidOptionsError for wrong options; for a `per` that is no scope level, when the cache is made
 */
export function lru(options: LruOptions): EvictionRule {
  checkLimits('lru', options);
  checkKnown('lru', options, ['max', 'maxBytes', 'per', 'only']);
  if (options.only !== undefined && typeof options.only !== 'function')
    throw new InvalidOptionsError(
      `lru: only must be a function of an entry, got ${describe(options.only)}.`,
    );
  return {
    name: 'lru',
    fresh(host) {
      checkLevel('lru', options.per, host);
      return new LruRule(options);
    },
  };
}

/** Checks the limits that `lru` and `maxItems` share. */
export function checkLimits(rule: string, options: { max?: number; maxBytes?: number }): void {
  const { max, maxBytes } = options ?? {};
  if (max === undefined && maxBytes === undefined)
    throw new InvalidOptionsError(
      `${rule}: expected { max } (entries) or { maxBytes }, got ${describe(options)}.`,
    );
  for (const [name, value] of Object.entries({ max, maxBytes }))
    if (value !== undefined && !(Number.isInteger(value) && value >= 1))
      throw new InvalidOptionsError(
        `${rule}: ${name} must be a whole number from 1 up, got ${describe(value)}.`,
      );
}

/** Whether `per` names a level of the cache: the rule would never apply otherwise. */
export function checkLevel(rule: string, per: string | undefined, { scopes }: RuleHost): void {
  if (per === undefined || scopes.names.includes(per)) return;
  throw new InvalidOptionsError(
    `${rule}: per names ${describe(per)}, which is no scope level; the levels are ${scopes.names.join(', ')}.`,
  );
}

interface Group {
  readonly list: RecencyList<RuleEntry>;
  bytes: number;
}

class LruRule implements EvictionRule {
  readonly name = 'lru';
  readonly needsBytes: boolean;
  readonly #groups = new Map<string, Group>();
  readonly #links = new Map<RuleEntry, { group: Group; link: Link<RuleEntry> }>();

  constructor(readonly options: LruOptions) {
    this.needsBytes = options.maxBytes !== undefined;
  }

  onGet(entry: RuleEntry): void {
    const place = this.#links.get(entry);
    if (place) place.group.list.touch(place.link);
  }

  onSet(entry: RuleEntry, replaces: RuleEntry | undefined): readonly RuleEffect[] | undefined {
    const groupId = groupOf(entry, this.options.per);
    if (groupId === undefined || this.options.only?.(entry) === false) return undefined;
    const { max = Infinity, maxBytes = Infinity } = this.options;
    if (entry.bytes > maxBytes) return [{ action: 'evict', entry, reason: 'size' }];
    const group = this.#group(groupId);
    const effects: RuleEffect[] = [];
    const counted = replaces && this.#links.has(replaces) ? replaces : undefined;
    let size = group.list.size + (counted ? 0 : 1);
    let bytes = group.bytes + entry.bytes - (counted?.bytes ?? 0);
    for (const victim of this.#fromOldest(group, replaces)) {
      if (size <= max && bytes <= maxBytes) break;
      effects.push({ action: 'evict', entry: victim, reason: size > max ? 'lru' : 'size' });
      size--;
      bytes -= victim.bytes;
    }
    this.#links.set(entry, { group, link: group.list.add(entry) });
    group.bytes += entry.bytes;
    return effects;
  }

  onEvict(entry: RuleEntry): void {
    const place = this.#links.get(entry);
    if (!place) return;
    this.#links.delete(entry);
    place.group.list.remove(place.link);
    place.group.bytes -= entry.bytes;
    if (place.group.list.size === 0) this.#groups.delete(groupOf(entry, this.options.per)!);
  }

  onClear(): void {
    this.#groups.clear();
    this.#links.clear();
  }

  #group(id: string): Group {
    let group = this.#groups.get(id);
    if (!group) this.#groups.set(id, (group = { list: new RecencyList(), bytes: 0 }));
    return group;
  }

  *#fromOldest(group: Group, except: RuleEntry | undefined): Generator<RuleEntry> {
    for (const entry of group.list) if (entry !== except) yield entry;
  }
}

/** `undefined` when the entry lies above the level that the rule looks at. */
export function groupOf(entry: RuleEntry, per: string | undefined): string | undefined {
  if (per === undefined) return '';
  for (let path = entry.scope as typeof entry.scope | undefined; path?.level; path = path.parent)
    if (path.level.name === per) return path.id;
  return undefined;
}
