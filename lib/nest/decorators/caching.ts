import { describe, InvalidOptionsError } from '../../core/errors.js';
import { checkKnown } from '../../core/known-options.js';
import { operationsDecorator } from '../method/cached-method.js';
import { checkedCacheable, checkedEvict, checkedPut } from '../method/checked-options.js';
import type {
  CacheableOptions,
  CacheEvictOptions,
  CachePutOptions,
} from '../method/operation-options.js';

/** For `@Caching`. */
export interface CachingOptions {
  readonly cacheable?: readonly CacheableOptions[];
  readonly put?: readonly CachePutOptions[];
  readonly evict?: readonly CacheEvictOptions[];
}

/**
 * Several operations on one method; repeating the single decorators does the same. Whatever the order here: evictions
 * with `beforeInvocation`, look-ups, the method, puts, the other evictions.
 *
 * @throws InvalidOptionsError or InvalidDurationError for options that cannot work
 */
export function Caching(options: CachingOptions): MethodDecorator {
  checkKnown('@Caching', options, ['cacheable', 'put', 'evict']);
  const { cacheable = [], put = [], evict = [] } = options;
  for (const [name, list] of Object.entries({ cacheable, put, evict }))
    if (!Array.isArray(list))
      throw new InvalidOptionsError(
        `@Caching: ${name}: expected a list of options, got ${describe(list)}.`,
      );
  return operationsDecorator(
    [...cacheable.map(checkedCacheable), ...put.map(checkedPut), ...evict.map(checkedEvict)],
    'Caching',
  );
}
