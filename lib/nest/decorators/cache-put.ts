import { operationsDecorator } from '../method/cached-method.js';
import { checkedPut } from '../method/checked-options.js';
import type { CachePutOptions } from '../method/operation-options.js';

/**
 * Always runs the method, and stores what it returns where `@Cacheable` with the same name and key will find it. Order:
 * condition, method, `unless`, then the key, so all of them may use `result`. A handler's status and headers are not stored.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- inferred, where the key function names its types
export function CachePut<Args extends readonly unknown[] = any[], Result = any>(
  options: CachePutOptions<Args, Result> = {},
): MethodDecorator {
  return operationsDecorator([checkedPut(options as unknown as CachePutOptions)], 'CachePut');
}
