import { operationsDecorator } from '../method/cached-method.js';
import { checkedEvict } from '../method/checked-options.js';
import type { CacheEvictOptions } from '../method/operation-options.js';

/**
 * Removes entries when the method has succeeded (before it runs, with `beforeInvocation`). The caller gets its answer after
 * they are gone. A scope whose id is missing evicts nothing and warns: the method runs all the same.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- inferred, where the key function names its types
export function CacheEvict<Args extends readonly unknown[] = any[], Result = any>(
  options: CacheEvictOptions<Args, Result> = {},
): MethodDecorator {
  return operationsDecorator([checkedEvict(options as unknown as CacheEvictOptions)], 'CacheEvict');
}
