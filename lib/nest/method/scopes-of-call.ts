import { MissingScopeError } from '../../core/errors.js';
import type { ScopeTree } from '../../core/scope-tree.js';
import type { ScopeContext, ScopeSelector } from '../../core/scope.js';
import type { CallContext, MethodCall } from './call-context.js';
import type { Planned } from './method-plan.js';
import type { OperationOptions } from './operation-options.js';

/** The levels that belong to one person. In all others several users meet. */
const PERSONAL = ['user', 'session'];

/** The scope of one call. */
export function selectorOf(
  { options }: Planned<OperationOptions>,
  call: MethodCall,
): ScopeSelector {
  const { scope } = options;
  return (typeof scope === 'function' ? scope(call as CallContext) : scope) ?? 'global';
}

/** Whether several users read this scope, so that what is marked `private` must not be stored in it. */
export function isSharedScope(scopes: ScopeTree, scope: ScopeSelector | undefined): boolean {
  if (scope === undefined || scope === 'global') return true;
  const names =
    typeof scope === 'string'
      ? (scopes.levels.find(({ name }) => name === scope)?.chain.map(({ name }) => name) ?? [])
      : Object.keys(scope);
  return !names.some((name) => PERSONAL.includes(name));
}

/**
 * Finds the scope before the method runs, which may log the user out, and again after it if there was none, since it may
 * just as well log the user in.
 */
export class EarlyScope {
  readonly #early: ScopeSelector | undefined;

  /** @throws MissingScopeError under `onMissingScope: 'throw'`, before anything has run */
  constructor(
    readonly planned: Planned<OperationOptions>,
    call: MethodCall,
    readonly context: ScopeContext,
  ) {
    call.askedForResult = false;
    try {
      const selector = this.#resolve(call);
      if (!call.askedForResult) this.#early = selector;
    } catch (error) {
      if (!(error instanceof MissingScopeError) || planned.options.onMissingScope === 'throw')
        throw error;
    }
  }

  /** @throws MissingScopeError when there is no id, neither before nor after */
  selector(after: MethodCall): ScopeSelector {
    return this.#early ?? this.#resolve(after);
  }

  #resolve(call: MethodCall): ScopeSelector {
    return this.planned.cache.scopes
      .pathOf(selectorOf(this.planned, call), this.context)
      .toSelector();
  }
}
