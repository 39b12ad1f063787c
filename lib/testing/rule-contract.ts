import type { RemovalReason } from '../core/entry.js';
import type {
  EvictionRule,
  RuleAnswer,
  RuleEffect,
  RuleEntry,
} from '../core/eviction/eviction-rule.js';
import { ScopeTree } from '../core/scope-tree.js';
import type { ScopePath } from '../core/scope.js';
import { assert, assertEqual } from './assertions.js';
import { ManualClock } from './manual-clock.js';
import { clauseDeclarer, type ContractOptions } from './runner.js';

/** For {@link evictionRuleContract}. */
export interface EvictionRuleContractOptions extends ContractOptions {
  /** A rule with empty state. */
  makeRule(): EvictionRule;
  /** How many entries of one scope it keeps at most, when it bounds their number. Default: not checked. */
  readonly keepsAtMost?: number;
}

const SCOPES = new ScopeTree(['org', 'user']);
const ACTIONS = ['evict', 'set', 'get', 'clear'];

/** Declares the tests that every eviction rule must pass: E1 to E4 of `EvictionRule`, seen from the rule. */
export function evictionRuleContract(options: EvictionRuleContractOptions): void {
  const clause = clauseDeclarer(options);
  const bench = (): RuleBench => new RuleBench(options.makeRule());

  options.describe(`eviction rule contract: ${options.name}`, () => {
    clause('E1', 'it has a name, and hooks answer with nothing or with known effects', async () => {
      const rules = bench();
      assert(rules.rule.name !== '', 'The rule has no name.');
      for (let at = 0; at < 50; at++) await rules.set(`k${at % 20}`);
      for (let at = 0; at < 20; at++) await rules.get(`k${at}`);
      await rules.clear();
    });

    clause(
      'E1',
      'it never evicts the same entry twice, nor one that it was not told of',
      async () => {
        const rules = bench();
        for (let at = 0; at < 100; at++) await rules.set(`k${(at * 7) % 30}`);
        assertEqual(rules.unknownEvictions, 0, 'effects on entries that were not there');
      },
    );

    clause('E2 E4', 'hooks about entries it does not know do no harm', async () => {
      const rules = bench();
      const stranger = rules.entry('stranger');
      await rules.rule.onGet?.(stranger);
      await rules.rule.onEvict?.(stranger, 'deleted');
      await rules.rule.onEvict?.(stranger, 'deleted');
      await rules.rule.onClear?.();
      await rules.set('k');
    });

    clause('E3', 'what was evicted no longer counts: room that became free is used', async () => {
      const first = bench();
      for (let at = 0; at < 50; at++) await first.set(`k${at}`);
      const kept = first.size;
      for (let round = 0; round < 3; round++) {
        for (const key of first.keys) await first.evict(key, 'deleted');
        assertEqual(first.size, 0, 'entries after all were evicted');
        for (let at = 0; at < 50; at++) await first.set(`r${round}k${at}`);
        assertEqual(first.size, kept, 'entries after as many came again');
      }
    });

    clause('E3', 'clear resets its state', async () => {
      const rules = bench();
      for (let at = 0; at < 50; at++) await rules.set(`k${at}`);
      const kept = rules.size;
      await rules.clear();
      for (let at = 0; at < 50; at++) await rules.set(`n${at}`);
      assertEqual(rules.size, kept, 'entries after clear and as many again');
    });

    clause('E1', 'replacing an entry takes no more room than it had', async () => {
      const rules = bench();
      await rules.set('a');
      for (let at = 0; at < 50; at++) await rules.set('a');
      assertEqual(rules.keys, ['a'], 'the keys after 50 writes to one');
    });

    clause('E1', 'copies made by fresh share no state', async () => {
      const rule = options.makeRule();
      if (!rule.fresh) return;
      const [one, other] = [new RuleBench(rule), new RuleBench(rule)];
      for (let at = 0; at < 50; at++) await one.set(`k${at}`);
      for (let at = 0; at < 50; at++) await other.set(`k${at}`);
      assertEqual(other.size, one.size, 'what a second copy keeps');
      assertEqual(one.unknownEvictions + other.unknownEvictions, 0, 'effects on foreign entries');
    });

    const { keepsAtMost } = options;
    if (keepsAtMost !== undefined)
      clause('E1 P16', `it keeps at most ${keepsAtMost} entries at any time`, async () => {
        const rules = bench();
        for (let at = 0; at < keepsAtMost * 3 + 5; at++) {
          await rules.set(`k${at}`);
          assert(
            rules.size <= keepsAtMost,
            `There were ${rules.size} entries after ${at + 1} writes.`,
          );
        }
        assertEqual(rules.size, keepsAtMost, 'entries in the end');
      });
  });
}

/** Applies a rule's effects to a Map, the way a storage does. */
class RuleBench {
  readonly rule: EvictionRule;
  readonly clock = new ManualClock();
  readonly #entries = new Map<string, RuleEntry>();
  readonly #scope: ScopePath = SCOPES.pathOf({ org: 'o', user: 'u' }, undefined);
  unknownEvictions = 0;

  constructor(rule: EvictionRule) {
    this.rule = rule.fresh?.({ clock: this.clock, scopes: SCOPES }) ?? rule;
  }

  get size(): number {
    return this.#entries.size;
  }

  get keys(): string[] {
    return [...this.#entries.keys()];
  }

  entry(key: string): RuleEntry {
    return { key, scope: this.#scope, tags: [], bytes: 100, storedAt: this.clock.monotonic() };
  }

  async set(key: string): Promise<void> {
    const incoming = this.entry(key);
    const replaces = this.#entries.get(key);
    let isRefused = false;
    for (const effect of effectsOf(await this.rule.onSet?.(incoming, replaces))) {
      const victim = effect.action === 'evict' ? (effect.entry ?? incoming) : undefined;
      if (victim === incoming) isRefused = true;
      else if (victim) await this.#take(victim, 'rule');
    }
    const old = this.#entries.get(key);
    if (old) await this.#take(old, 'replaced');
    if (isRefused) await this.rule.onEvict?.(incoming, 'rule');
    else this.#entries.set(key, incoming);
    this.clock.advance(1);
  }

  async get(key: string): Promise<void> {
    const entry = this.#entries.get(key);
    if (entry)
      for (const effect of effectsOf(await this.rule.onGet?.(entry)))
        if (effect.action === 'evict') await this.#take(effect.entry ?? entry, 'rule');
  }

  async evict(key: string, reason: RemovalReason): Promise<void> {
    const entry = this.#entries.get(key);
    if (entry) await this.#take(entry, reason);
  }

  async clear(): Promise<void> {
    this.#entries.clear();
    effectsOf(await this.rule.onClear?.());
  }

  async #take(entry: RuleEntry, reason: RemovalReason): Promise<void> {
    if (this.#entries.get(entry.key) !== entry) this.unknownEvictions++;
    else {
      this.#entries.delete(entry.key);
      effectsOf(await this.rule.onEvict?.(entry, reason));
    }
  }
}

function effectsOf(answer: RuleAnswer): readonly RuleEffect[] {
  if (answer === null || answer === undefined) return [];
  const effects = Array.isArray(answer)
    ? (answer as readonly RuleEffect[])
    : [answer as RuleEffect];
  for (const effect of effects)
    assert(
      typeof effect === 'object' && ACTIONS.includes(effect?.action),
      `A hook answered with an effect that is none of ${ACTIONS.join(', ')}.`,
    );
  return effects;
}
