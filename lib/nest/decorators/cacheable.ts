import { operationsDecorator } from '../method/cached-method.js';
import { checkedCacheable } from '../method/checked-options.js';
import type { CacheableOptions } from '../method/operation-options.js';

/**
 * Keeps what the method returns, and returns it again for equal calls without running the method. For controller handlers
 * (HTTP, RPC, WebSocket, GraphQL) and provider methods. One load at a time for each key; waiters share its result.
 *
 * The method becomes asynchronous: it returns a promise, or an Observable if it is declared to return one. Errors are never
 * stored. Several on one method are looked up in the order in which they are written.
 *
 * @throws InvalidOptionsError or InvalidDurationError, when the class is defined or the application starts, for options
 * that cannot work
 */
// oxlint-disable-next-line typescript/no-explicit-any -- inferred, where the key function names its types
export function Cacheable<Args extends readonly unknown[] = any[], Result = any>(
  options: CacheableOptions<Args, Result> = {},
): MethodDecorator {
  return operationsDecorator(
    [checkedCacheable(options as unknown as CacheableOptions)],
    'Cacheable',
  );
}
