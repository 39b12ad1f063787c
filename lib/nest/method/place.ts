import { encodeKey, type CacheKey } from '../../core/cache-key.js';
import type { LoadOptions } from '../../core/cache-options.js';
import type { MethodCall } from './call-context.js';
import { variantsTag } from './entry-key.js';
import type { MethodPlan, PlannedCacheable } from './method-plan.js';
import type { MethodTools } from './method-tools.js';
import { selectorOf } from './scopes-of-call.js';

/** Where one operation keeps the result of one call. */
export interface Place {
  readonly planned: PlannedCacheable;
  readonly key: CacheKey;
  readonly options: LoadOptions;
}

/**
 * Where the result of one call is kept.
 * @throws MissingScopeError when it has no scope, whatever its key; InvalidKeyError when it has no key
 */
export function placeOf(
  planned: PlannedCacheable,
  call: MethodCall,
  plan: MethodPlan,
  { context, keys }: MethodTools,
): Place {
  // First: a key function of the application counts on the user whose scope it is.
  if (planned.hasOwnKey) planned.cache.scopes.pathOf(selectorOf(planned, call), context);
  const key = keys.full(call, plan, planned);
  let options = planned.fixed;
  if (typeof planned.options.scope === 'function')
    options = { ...options, scope: selectorOf(planned, call) };
  if (planned.vary.length > 0) {
    const variants = variantsTag(keys.base(planned.name, call, plan, planned));
    options = { ...options, tags: [...options.tags!, variants] };
  }
  return { planned, key, options };
}

/** The entry's name among all entries of the application, scope ids included. */
export function entryOf({ planned, key, options }: Place, { context }: MethodTools): string {
  const { namespace, scopes } = planned.cache;
  return encodeKey([namespace, scopes.pathOf(options.scope, context).id, key]);
}

/** An order of places that is the same for every method. */
export function byAddress(one: Place, other: Place): number {
  return addressText(one) < addressText(other) ? -1 : 1;
}

function addressText({ planned, key, options }: Place): string {
  return encodeKey([planned.cache.namespace, options.scope ?? 'global', key]);
}
