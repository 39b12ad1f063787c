import { CacheError, StorageUnavailableError } from '../../core/errors.js';
import type { ScopeSelector } from '../../core/scope.js';
import type { MethodCall } from './call-context.js';
import { variantsTag } from './entry-key.js';
import { nameTag, type MethodPlan, type PlannedEvict } from './method-plan.js';
import type { MethodTools } from './method-tools.js';
import { atOnce } from './own-answers.js';
import { EarlyScope } from './scopes-of-call.js';

/** Evicts for one call. A missing id or a fault is logged once, with what was left; the method's answer does not change. */
export class EvictStep {
  readonly #scope: EarlyScope;

  constructor(
    readonly planned: PlannedEvict,
    call: MethodCall,
    readonly plan: MethodPlan,
    readonly tools: MethodTools,
  ) {
    this.#scope = new EarlyScope(planned, call, tools.context);
  }

  get isBefore(): boolean {
    return this.planned.options.beforeInvocation === true;
  }

  async run(call: MethodCall): Promise<void> {
    const { condition } = this.planned.options;
    if (condition && !(await condition(call))) return;
    try {
      const scope = this.#scope.selector(call);
      for (const evict of this.#evictions(call, scope)) await this.#carryOut(evict);
    } catch (error) {
      this.#explain(error, 'NOTHING WAS EVICTED.');
    }
  }

  /** What is to be evicted, all of it known before anything goes. */
  #evictions(call: MethodCall, scope: ScopeSelector): (() => Promise<unknown>)[] {
    const { cache, names, options } = this.planned;
    const tags =
      typeof options.tags === 'function' ? atOnce(options.tags(call), 'tags') : options.tags;
    const evictions: (() => Promise<unknown>)[] = [];
    if (options.allEntries === true)
      evictions.push(() =>
        names.length === 0
          ? cache.evictScope(scope)
          : cache.evictTags(names.map(nameTag), { scope }),
      );
    if (tags) evictions.push(() => cache.evictTags(tags, { scope }));
    const isByKey = options.allEntries !== true && (this.planned.hasOwnKey || !tags);
    if (isByKey) for (const name of names) evictions.push(...this.#ofKey(name, call, scope));
    return evictions;
  }

  #ofKey(name: string, call: MethodCall, scope: ScopeSelector): (() => Promise<unknown>)[] {
    const { cache } = this.planned;
    const key = this.tools.keys.base(name, call, this.plan, this.planned);
    const variants = (): Promise<unknown> => cache.evictTags(variantsTag(key), { scope });
    const entry = (): Promise<unknown> => cache.delete(key, { scope });
    return this.tools.hasVariants(name) ? [entry, variants] : [entry];
  }

  /** A storage that is away makes up for it later (P13), if it has been told of each. */
  async #carryOut(evict: () => Promise<unknown>): Promise<void> {
    try {
      await evict();
    } catch (error) {
      if (!(error instanceof StorageUnavailableError)) throw error;
      this.#explain(error, 'The eviction is in force in this process, and follows in the storage.');
    }
  }

  #explain(error: unknown, what: string): void {
    if (!(error instanceof CacheError)) throw error;
    const { label } = this.plan;
    this.tools.warnings.once(label, `evict ${error.code}`, `${what} ${error.message}`);
  }
}
