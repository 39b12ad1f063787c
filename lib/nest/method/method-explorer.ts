import type { ModulesContainer } from '@nestjs/core';
import { InvalidOptionsError } from '../../core/errors.js';
import { cachedMethodOf } from './cached-method.js';
import { warnOfCustomInputs } from './custom-inputs.js';
import type { MethodPlan } from './method-plan.js';
import type { MethodRunner } from './method-runner.js';
import { endlessKind, methodsOf, receivesMessages } from './nest-metadata.js';

type Class = { name: string; prototype: object };

/** Looks through an application's classes when it starts, so that what cannot work is an error then and not a wrong answer later. */
export class MethodExplorer {
  #variants: ReadonlySet<string> | undefined;

  constructor(readonly modules: ModulesContainer) {}

  /** See {@link MethodTools.hasVariants}. */
  hasVariants(name: string, runner: MethodRunner): boolean {
    this.#variants ??= new Set(
      this.#plans(runner).flatMap((plan) =>
        plan.cacheables.filter(({ vary }) => vary.length > 0).map((planned) => planned.name),
      ),
    );
    return this.#variants.has(name);
  }

  /** Whether any class here takes messages, so that they need a scope context of their own. */
  get receivesMessages(): boolean {
    return this.#classes().some(receivesMessages);
  }

  /**
   * @throws InvalidOptionsError for results that never end and for methods whose entries would be mixed up
   * @throws InvalidOptionsError, UnknownScopeError for operations that have no name, cache, key generator or level
   */
  check(runner: MethodRunner): void {
    const owners = new Map<string, MethodPlan>();
    for (const plan of this.#plans(runner)) {
      refuseEndless(plan);
      runner.tools.keys.checkGenerators(plan);
      warnOfCustomInputs(plan, runner.tools.warnings);
      for (const { name, hasOwnKey, cache } of plan.cacheables) {
        if (hasOwnKey || plan.route !== undefined) continue;
        const id = JSON.stringify([cache.namespace, name]);
        const other = owners.get(id);
        if (other && other !== plan) throw mixedUp(name, plan, other);
        owners.set(id, plan);
      }
    }
  }

  #plans(runner: MethodRunner): MethodPlan[] {
    return this.#classes().flatMap((type) =>
      methodsOf(type.prototype).flatMap(([, handler]) => {
        const method = cachedMethodOf(handler);
        return method ? [runner.planOf(method, type)] : [];
      }),
    );
  }

  #classes(): Class[] {
    const found = new Set<Class>();
    for (const module of this.modules.values())
      for (const { metatype } of [...module.controllers.values(), ...module.providers.values()])
        if (typeof metatype === 'function' && (metatype as { prototype?: object }).prototype)
          found.add(metatype as Class);
    return [...found];
  }
}

function refuseEndless(plan: MethodPlan): void {
  if (plan.cacheables.length === 0 && plan.puts.length === 0) return;
  const handler = (plan.method.prototype as Record<string | symbol, object>)[plan.method.name]!;
  const kind = endlessKind(handler);
  if (kind)
    throw new InvalidOptionsError(
      `${plan.label} has ${kind}, whose results never complete, so there is nothing to store. Remove its cache decorators.`,
    );
}

function mixedUp(name: string, one: MethodPlan, other: MethodPlan): InvalidOptionsError {
  return new InvalidOptionsError(
    one.label === other.label
      ? `Two different classes are called ${one.label.split('.')[0]} and both cache ${one.label}, so each would return the other's entries. Give one of them @CacheConfig({ name: '…' }) or another class name.`
      : `${one.label} and ${other.label} both cache under the name "${name}" with the default key, so equal arguments would return each other's results. Give them different names, or a "key" each.`,
  );
}
