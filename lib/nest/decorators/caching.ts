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
 */
export function Caching(options: CachingOptions): MethodDecorator {
  const { cacheable = [], put = [], evict = [] } = options;
  return operationsDecorator(
    [...cacheable.map(checkedCacheable), ...put.map(checkedPut), ...evict.map(checkedEvict)],
    'Caching',
  );
}
