import type { Clock } from '../../core/clock.js';
import type { RequestScopeContext } from '../scope-context.js';
import type { HitMembers } from './cache-status.js';
import type { KeyMaker } from './entry-key.js';
import type { MethodWarnings } from './method-warnings.js';

/** What the steps around a decorated method need of their application. */
export interface MethodTools {
  readonly keys: KeyMaker;
  readonly warnings: MethodWarnings;
  readonly context: RequestScopeContext;
  readonly clock: Clock;
  readonly hits: HitMembers;
  /** Whether entries of this name have variants by header, which must go when their key goes. */
  hasVariants(name: string): boolean;
  /** Whether Nest makes a provider of this class for each request, because it or what it is given depends on one. */
  isPerRequest(type: object): boolean;
}
