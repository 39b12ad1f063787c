import { CacheError } from '../../core/errors.js';
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
      await this.#evict(call, this.#scope.selector(call));
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      this.tools.warnings.once(
        this.plan.label,
        `evict ${error.code}`,
        `NOTHING WAS EVICTED. ${error.message}`,
      );
    }
  }

  async #evict(call: MethodCall, scope: ScopeSelector): Promise<void> {
    const { cache, names, options } = this.planned;
    if (options.allEntries === true && names.length === 0) await cache.evictScope(scope);
    if (options.allEntries === true && names.length > 0)
      await cache.evictTags(names.map(nameTag), { scope });
    if (options.tags)
      await cache.evictTags(
        typeof options.tags === 'function' ? atOnce(options.tags(call), 'tags') : options.tags,
        { scope },
      );
    const isByKey = options.allEntries !== true && (this.planned.hasOwnKey || !options.tags);
    if (isByKey) for (const name of names) await this.#evictKey(name, call, scope);
  }

  async #evictKey(name: string, call: MethodCall, scope: ScopeSelector): Promise<void> {
    const { cache } = this.planned;
    const key = this.tools.keys.base(name, call, this.plan, this.planned);
    await cache.delete(key, { scope });
    if (this.tools.hasVariants(name)) await cache.evictTags(variantsTag(key), { scope });
  }
}
