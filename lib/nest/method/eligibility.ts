import type { MethodCall } from './call-context.js';
import { isUnsafe } from './entry-key.js';
import type { MethodPlan, PlannedCacheable } from './method-plan.js';
import { isSharedScope, selectorOf } from './scopes-of-call.js';

/** Why a call is not served from the cache. */
export interface Bypass {
  /** For `Cache-Status`: `fwd=…`. */
  readonly status: string;
  /** Said once for each method. */
  readonly warning?: string;
}

/** Whether this call may be cached at all; `undefined` when it may. Of other methods than handlers, few are refused here. */
export function bypassOf(
  call: MethodCall,
  plan: MethodPlan,
  planned: PlannedCacheable,
): Bypass | undefined {
  if (!planned.cache.enabled) return { status: 'fwd=bypass; detail=disabled' };
  const hasNoScope = planned.options.scope === undefined;
  if (hasNoScope && plan.madeFor === 'tenant') return SCOPE_OMITTED_BY_DURABLE;
  if (call.executionContext === undefined)
    return hasNoScope && plan.madeFor === 'request' && identifiesSomebody(call)
      ? SCOPE_OMITTED
      : undefined;
  if (plan.inputs.answersItself) return ANSWERS_ITSELF;
  if (!planned.hasOwnKey && isUnsafe(call)) return UNSAFE;
  if (hasNoScope && identifiesSomebody(call)) return SCOPE_OMITTED;
  if (planned.unkeyed.length > 0) return unkeyedInput(planned.unkeyed);
  return plan.inputs.takesSession && sharesSessions(call, planned) ? SHARED_SESSION : undefined;
}

/** A method that is called, directly or not, by the very load that its result would come from. */
export const OWN_LOAD: Bypass = {
  status: 'fwd=bypass; detail=own-load',
  warning:
    'it was called, under the same name and with the same key, by the method whose result it would wait for, so that call runs uncached. Give one of the two a "name" or a "key" of its own.',
};

const ANSWERS_ITSELF: Bypass = {
  status: 'fwd=bypass; detail=response-handled',
  warning:
    'it takes @Res() or @Next() without { passthrough: true }, so what it answers cannot be cached. Return the result instead.',
};

const UNSAFE: Bypass = {
  status: 'fwd=method',
  warning:
    'it changes things by its protocol (not GET or HEAD, or a mutation), so it runs uncached. Give "key" if its result may be cached.',
};

const SCOPE_OMITTED: Bypass = {
  status: 'fwd=bypass; detail=scope-omitted',
  warning:
    "the request carries a user (request.user or an Authorization header) and no scope says who may share the response, so it runs uncached. Give scope: 'user' (or another level), or scope: 'global' if all users get the same.",
};

const SCOPE_OMITTED_BY_DURABLE: Bypass = {
  status: 'fwd=bypass; detail=scope-omitted',
  warning:
    "Nest makes an instance for each tenant (it is durable, or given something that is) and no scope says who may share the results, so it runs uncached. Give the tenant's scope, or scope: 'global' if all tenants get the same.",
};

const SHARED_SESSION: Bypass = {
  status: 'fwd=bypass; detail=unkeyed-input',
  warning:
    "it takes @Session(), and people with different sessions share its scope, so it runs uncached. Give scope: 'session' (or 'user'), or a \"key\" that holds what it takes from the session.",
};

/** A visitor's session is his own, whether or not he has a user. */
function sharesSessions(call: MethodCall, planned: PlannedCacheable): boolean {
  return !planned.hasOwnKey && isSharedScope(planned.cache.scopes, selectorOf(planned, call));
}

/** Anonymous requests may share; anything that names a person may not, until somebody says so (P3). */
function identifiesSomebody(call: MethodCall): boolean {
  if (call.user !== undefined && call.user !== null) return true;
  const { headers } = (call.request as { headers?: Record<string, unknown> } | undefined) ?? {};
  return headers?.['authorization'] !== undefined;
}

function unkeyedInput(unkeyed: readonly string[]): Bypass {
  return {
    status: 'fwd=bypass; detail=unkeyed-input',
    warning: `it takes ${unkeyed.join(', ')}, which no default key covers, so it runs uncached. Give "key"${unkeyed.includes('@Headers()') ? ' or "vary"' : ''}.`,
  };
}
