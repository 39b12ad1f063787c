import type { RemovalReason } from '../../core/entry.js';
import type {
  EvictionRule,
  RuleAnswer,
  RuleEffect,
  RuleEntry,
} from '../../core/eviction/eviction-rule.js';
import { InvalidOptionsError } from '../../core/errors.js';
import { isPromise } from '../../core/guard.js';
import type { StorageHost } from '../../core/storage.js';

/** Effects that cause effects end here. */
const DEPTH_MAX = 8;

/** Carries an effect out; told the entry that the hook was called with. */
export type ApplyEffect = (effect: RuleEffect, entry: RuleEntry | undefined) => void;

/** Asks the rules of one cache, in order, and has their effects applied. A rule that fails is reported and passed over. */
export class RuleRunner {
  readonly #rules: readonly EvictionRule[];
  /** Asynchronous hooks under way, for the operation that caused them to wait for. */
  #pending: Promise<void>[] = [];
  #depth = 0;

  constructor(
    rules: readonly EvictionRule[],
    readonly host: StorageHost,
    readonly apply: ApplyEffect,
  ) {
    this.#rules = rules.map((rule) => rule.fresh?.(host) ?? rule);
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  get needBytes(): boolean {
    return this.#rules.some((rule) => rule.needsBytes === true);
  }

  get maxAgeMs(): number {
    return Math.min(Infinity, ...this.#rules.map((rule) => rule.maxAgeMs ?? Infinity));
  }

  onGet(entry: RuleEntry): void {
    for (const rule of this.#rules)
      if (rule.onGet) this.#run(rule, () => rule.onGet!(entry), entry);
  }

  onEvict(entry: RuleEntry, reason: RemovalReason): void {
    for (const rule of this.#rules)
      if (rule.onEvict) this.#run(rule, () => rule.onEvict!(entry, reason), entry);
  }

  onClear(): void {
    for (const rule of this.#rules)
      if (rule.onClear) this.#run(rule, () => rule.onClear!(), undefined);
  }

  /** Asks about an incoming entry, each rule after the one before has answered. `proceed` runs last. */
  beforeSet<T>(
    entry: RuleEntry,
    replaces: RuleEntry | undefined,
    proceed: () => T,
  ): T | Promise<T> {
    for (let at = 0; at < this.#rules.length; at++) {
      const rule = this.#rules[at]!;
      if (!rule.onSet) continue;
      const before = this.#pending.length;
      this.#run(rule, () => rule.onSet!(entry, replaces), entry);
      if (this.#pending.length > before) return this.#restOf(at + 1, entry, replaces, proceed);
    }
    return proceed();
  }

  /** `result`, once the asynchronous hooks that ran so far are done. */
  whenSettled<T>(result: T): T | Promise<T> {
    if (this.#pending.length === 0) return result;
    const pending = this.#pending;
    this.#pending = [];
    return Promise.all(pending).then(() => this.whenSettled(result));
  }

  async #restOf<T>(
    from: number,
    entry: RuleEntry,
    replaces: RuleEntry | undefined,
    proceed: () => T,
  ): Promise<T> {
    for (let at = from; ; at++) {
      await this.whenSettled(undefined);
      const rule = this.#rules[at];
      if (!rule) return proceed();
      if (rule.onSet) this.#run(rule, () => rule.onSet!(entry, replaces), entry);
    }
  }

  #run(
    rule: EvictionRule,
    ask: () => RuleAnswer | Promise<RuleAnswer>,
    entry: RuleEntry | undefined,
  ): void {
    try {
      const answer = ask();
      if (isPromise(answer as Promise<RuleAnswer>))
        this.#pending.push(this.#later(rule, answer as Promise<RuleAnswer>, entry));
      else this.#applyAll(answer as RuleAnswer, entry);
    } catch (error) {
      this.#report(rule, error);
    }
  }

  async #later(
    rule: EvictionRule,
    answer: Promise<RuleAnswer>,
    entry: RuleEntry | undefined,
  ): Promise<void> {
    try {
      this.#applyAll(await answer, entry);
    } catch (error) {
      this.#report(rule, error);
    }
  }

  #applyAll(answer: RuleAnswer, entry: RuleEntry | undefined): void {
    if (answer === null || answer === undefined) return;
    if (this.#depth >= DEPTH_MAX)
      throw new InvalidOptionsError(
        `Rule effects cause each other more than ${DEPTH_MAX} levels deep.`,
      );
    this.#depth++;
    try {
      for (const effect of Array.isArray(answer)
        ? (answer as readonly RuleEffect[])
        : [answer as RuleEffect])
        this.apply(effect, entry);
    } finally {
      this.#depth--;
    }
  }

  #report(rule: EvictionRule, error: unknown): void {
    this.host.listener.onFault?.({ during: `rule ${rule.name}`, storage: 'memory', error });
  }
}
