import type { Clock } from '../../core/clock.js';
import type { RequestScopeContext } from '../scope-context.js';
import type { HitMembers } from './cache-status.js';
import type { KeyMaker } from './entry-key.js';
import type { MethodWarnings } from './method-warnings.js';

/**
 * Whom an instance serves: everybody; one request, because it or what it is given depends on one (providers only, handlers
 * know their request anyway); or one tenant, because that is durable. What it returns may then be theirs alone.
 */
export type MadeFor = 'all' | 'request' | 'tenant';

/** What the steps around a decorated method need of their application. */
export interface MethodTools {
  readonly keys: KeyMaker;
  readonly warnings: MethodWarnings;
  readonly context: RequestScopeContext;
  readonly clock: Clock;
  readonly hits: HitMembers;
  /** Whether entries of this name have variants by header, which must go when their key goes. */
  hasVariants(name: string): boolean;
  /** Whom Nest makes instances of this class for. */
  madeFor(type: object): MadeFor;
}
