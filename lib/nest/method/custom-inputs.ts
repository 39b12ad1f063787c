import type { MethodPlan, PlannedCacheable } from './method-plan.js';
import type { MethodWarnings } from './method-warnings.js';
import { parameterType } from './nest-metadata.js';
import { isSharedScope } from './scopes-of-call.js';

/**
 * Says, when the application starts, which handlers take something that their default key does not hold although several
 * users share their entries: the value of a parameter decorator that the application made itself. What it is made from
 * cannot be seen, so it may well be the same for all.
 */
export function warnOfCustomInputs(plan: MethodPlan, warnings: MethodWarnings): void {
  const { custom } = plan.inputs;
  if (custom.length === 0) return;
  const planned = plan.cacheables.find(isSharedByDefaultKey);
  if (!planned) return;
  const named = custom.map((index) => nameOf(plan, index)).join(', ');
  const scope = planned.options.scope ?? 'global';
  warnings.once(
    plan.label,
    'custom input',
    `its ${named} comes from a parameter decorator of your own, which the default key does not hold, and several users share its scope (${JSON.stringify(scope)}): equal requests get the same answer whatever its value. If the answer depends on it, put @CacheKey() on what tells calls apart, or give "key".`,
  );
}

/** Of a scope that is found for each call nothing is known here. */
function isSharedByDefaultKey({ hasOwnKey, options, cache }: PlannedCacheable): boolean {
  return (
    !hasOwnKey && typeof options.scope !== 'function' && isSharedScope(cache.scopes, options.scope)
  );
}

function nameOf({ method }: MethodPlan, index: number): string {
  const type = parameterType(method.prototype, method.name, index);
  return `parameter ${index + 1}${type === undefined ? '' : ` (${type})`}`;
}
