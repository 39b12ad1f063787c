import type { SetOptions } from '../../core/cache-options.js';
import { CacheError } from '../../core/errors.js';
import type { MethodCall } from './call-context.js';
import { variantsTag } from './entry-key.js';
import type { MethodPlan, PlannedStore } from './method-plan.js';
import type { MethodTools } from './method-tools.js';
import { atOnce, tagsAtOnce } from './own-answers.js';
import { pack } from './packed-result.js';
import type { PutFences } from './put-fences.js';
import { EarlyScope } from './scopes-of-call.js';

/**
 * Stores a result under one operation's name: condition, `unless`, then key, all of which may look at the result. An entry
 * that was written or evicted while the method ran is removed instead (P5).
 * A value that cannot be stored, a missing id or a fault of the storage is logged once; the caller gets its result (P12).
 */
export class PutStep {
  readonly #scope: EarlyScope;

  /** To be made before the method runs, which may log the user out. */
  constructor(
    readonly planned: PlannedStore,
    call: MethodCall,
    readonly plan: MethodPlan,
    readonly tools: MethodTools,
    readonly fences: PutFences,
  ) {
    this.#scope = new EarlyScope(planned, call, tools.context);
  }

  async run(after: MethodCall): Promise<void> {
    const { condition, unless } = this.planned.options;
    if (condition && !(await condition(after))) return;
    if (unless && (await unless(after))) return;
    try {
      await this.#store(after);
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      this.tools.warnings.once(
        this.plan.label,
        `put ${error.code}`,
        `its result was not stored. ${error.message}`,
      );
    }
  }

  async #store(after: MethodCall): Promise<void> {
    const { cache, fixed, name, options } = this.planned;
    const scope = this.#scope.selector(after);
    const key = this.tools.keys.base(name, after, this.plan, this.planned);
    const settings: Record<string, unknown> = { ...fixed, scope };
    if (typeof options.ttl === 'function') settings['ttl'] = atOnce(options.ttl(after), 'ttl');
    if (typeof options.tags === 'function')
      settings['tags'] = [...fixed.tags!, ...tagsAtOnce(options.tags(after))];
    const fence = this.fences.of(cache);
    try {
      await cache.setFenced(key, pack(after.result, {}), settings as SetOptions, fence);
    } finally {
      if (this.tools.hasVariants(name)) await cache.evictTags(variantsTag(key), { scope });
    }
  }
}
