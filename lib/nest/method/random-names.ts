import type { MethodPlan } from './method-plan.js';
import type { MethodWarnings } from './method-warnings.js';

/** The names that Nest's `mixin()` gives to classes. */
const RANDOM_NAME = /^[\da-z]{21}$/;

/**
 * Says, when the application starts, whose entries no other process finds, nor this one after its next start (P4): those of
 * a class made by `mixin()`, which has another name in each process, on a storage that outlives it.
 */
export function warnOfRandomName(plan: MethodPlan, warnings: MethodWarnings): void {
  if (!RANDOM_NAME.test(plan.type.name)) return;
  const isLost = [...plan.cacheables, ...plan.puts].some(
    ({ cache, options }) =>
      cache.enabled && options.name === undefined && cache.storage.type !== 'memory',
  );
  if (!isLost) return;
  warnings.once(
    plan.label,
    'random name',
    `its class was made by mixin(), which gives it another name in every process, and its entries go by that name: no other process finds them, nor this one after a restart. Give the class @CacheConfig({ name: '…' }).`,
  );
}
