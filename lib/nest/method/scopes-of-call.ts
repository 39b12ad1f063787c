import { CacheError, describe, MissingScopeError } from '../../core/errors.js';
import type { ScopeTree } from '../../core/scope-tree.js';
import type { ScopeContext, ScopeSelector } from '../../core/scope.js';
import type { CallContext, MethodCall } from './call-context.js';
import type { Planned } from './method-plan.js';
import type { OperationOptions } from './operation-options.js';
import { atOnce } from './own-answers.js';

/** The levels that belong to one person. In all others several users meet. */
const PERSONAL = ['user', 'session'];

/**
 * The scope of one call; global where the decorator names none.
 * @throws MissingScopeError when it is a function that found none: that is not global by accident (P3)
 */
export function selectorOf(
  { options, cache }: Planned<OperationOptions>,
  call: MethodCall,
): ScopeSelector {
  const { scope } = options;
  if (typeof scope !== 'function') return scope ?? 'global';
  const selector: unknown = atOnce(scope(call as CallContext), 'scope');
  if (selector !== undefined && selector !== null) return selector as ScopeSelector;
  throw new MissingScopeError(
    cache.scopes.names[0] ?? 'global',
    `The function given as "scope" returned ${describe(selector)}. Return ids like { org: 'o1' }, a level name, or 'global' if everybody shares the entry.`,
  );
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
 * just as well log the user in, or return what a function needs to tell. What is wrong with a scope stops no method.
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
      if (call.askedForResult) return;
      const isStrict = planned.options.onMissingScope === 'throw';
      if (!(error instanceof CacheError) || (isStrict && error instanceof MissingScopeError))
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
