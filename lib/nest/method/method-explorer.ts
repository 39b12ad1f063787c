import type { ModulesContainer } from '@nestjs/core';
import { InvalidOptionsError } from '../../core/errors.js';
import { CACHE_METHODS } from '../tokens.js';
import { declaredCachedMethods, runnerOf } from './cached-method.js';
import { warnOfCustomInputs } from './custom-inputs.js';
import { warnOfRandomName } from './random-names.js';
import type { MethodPlan, PlannedCacheable } from './method-plan.js';
import type { MadeFor } from './method-tools.js';
import type { MethodRunner } from './method-runner.js';
import {
  endlessKind,
  isReadRoute,
  isRouteOnly,
  prototypesOf,
  receivesMessages,
} from './nest-metadata.js';

type Class = { name: string; prototype: object };
type Module = ModulesContainer extends Map<string, infer M> ? M : never;

/** Looks through an application's classes when it starts, so that what cannot work is an error then and not a wrong answer later. */
export class MethodExplorer {
  #isPlanned = false;

  constructor(readonly modules: ModulesContainer) {}

  /** See {@link MethodTools.hasVariants}. Methods of modules that are loaded later are planned by their first call. */
  hasVariants(name: string, runner: MethodRunner): boolean {
    if (!this.#isPlanned) this.#plans(runner);
    this.#isPlanned = true;
    return runner.hasVariants(name);
  }

  /** See {@link MethodTools.madeFor}. */
  madeFor(type: object): MadeFor {
    const modules = [...this.modules.values()];
    const isOfType = ({ metatype }: { metatype: unknown }): boolean => metatype === type;
    const providers = modules.flatMap((one) => [...one.providers.values()]).filter(isOfType);
    const controllers = modules.flatMap((one) => [...one.controllers.values()]).filter(isOfType);
    if ([...providers, ...controllers].some((one) => one.isDependencyTreeDurable()))
      return 'tenant';
    return providers.some((one) => !one.isDependencyTreeStatic()) ? 'request' : 'all';
  }

  /** Lets every handler of a route have its context. To be called before Nest makes the routes. */
  prepareRoutes(): void {
    for (const type of this.#classes())
      for (const method of prototypesOf(type.prototype).flatMap(declaredCachedMethods))
        if (isRouteOnly(type, (type.prototype as Record<string | symbol, unknown>)[method.name]))
          method.receiveContext();
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
      if (isOverridden(plan)) continue;
      warnOfCustomInputs(plan, runner.tools.warnings);
      warnOfRandomName(plan, runner.tools.warnings);
      for (const planned of plan.cacheables) {
        const keys = ownKeysOf(plan, planned);
        if (keys === undefined) continue;
        const id = JSON.stringify([planned.cache.namespace, planned.name, keys]);
        const other = owners.get(id);
        if (other && other !== plan) throw mixedUp(planned.name, plan, other);
        owners.set(id, plan);
      }
    }
  }

  /** Also of methods that a subclass overrides or another decorator has wrapped: they may be called all the same. */
  #plans(runner: MethodRunner): MethodPlan[] {
    return this.#classes(runner).flatMap((type) =>
      prototypesOf(type.prototype)
        .flatMap((prototype) => declaredCachedMethods(prototype))
        .map((method) => runner.planOf(method, type)),
    );
  }

  /** @param runner only the classes whose methods it may run: there can be several roots with `isGlobal: false` */
  #classes(runner?: MethodRunner): Class[] {
    const found = new Set<Class>();
    for (const module of this.modules.values())
      for (const wrapper of [...module.controllers.values(), ...module.providers.values()]) {
        const { metatype } = wrapper;
        const isClass =
          typeof metatype === 'function' && (metatype as { prototype?: object }).prototype;
        if (isClass && (!runner || mayRun(runner, module, wrapper))) found.add(metatype as Class);
      }
    return [...found];
  }
}

/** Of what Nest makes later, for a request, only the imports of its module tell. */
function mayRun(
  runner: MethodRunner,
  module: Module,
  { instance }: { instance: unknown },
): boolean {
  const given = runnerOf(instance);
  if (given) return given === runner;
  const imported = [...module.imports]
    .map(({ providers }) => providers.get(CACHE_METHODS as never)?.instance as unknown)
    .filter((other) => other !== undefined);
  return imported.length === 0 || imported.includes(runner);
}

function refuseEndless(plan: MethodPlan): void {
  if (plan.cacheables.length === 0 && plan.puts.length === 0) return;
  const kind = endlessKind(methodOn(plan.method.prototype, plan));
  if (kind)
    throw new InvalidOptionsError(
      `${plan.label} has ${kind}, whose results never complete, so there is nothing to store. Remove its cache decorators.`,
    );
}

/** Whether calls from outside reach another method of that name first. */
function isOverridden({ method, type }: MethodPlan): boolean {
  const holder = prototypesOf(type.prototype).find((one) => Object.hasOwn(one, method.name))!;
  const outermost = declaredCachedMethods(holder).findLast(({ name }) => name === method.name);
  return outermost !== method;
}

/**
 * Which keys below its name must be one method's alone. With a key of the application's own, methods may share a name that
 * they were given, but not one that they got by being called alike.
 */
function ownKeysOf(plan: MethodPlan, { hasOwnKey, options }: PlannedCacheable): string | undefined {
  if (hasOwnKey) return options.name === undefined ? 'own' : undefined;
  if (plan.route === undefined) return 'arguments';
  return isReadRoute(methodOn(plan.type.prototype, plan)) ? `route ${plan.route}` : undefined;
}

function methodOn(prototype: object, { method }: MethodPlan): object {
  return (prototype as Record<string | symbol, object>)[method.name]!;
}

function mixedUp(name: string, one: MethodPlan, other: MethodPlan): InvalidOptionsError {
  const { name: className } = one.type;
  return new InvalidOptionsError(
    one.label === other.label
      ? `Two different classes ${className === '' ? 'have no name' : `are called ${className}`} and both cache ${one.label}, so each would return the other's entries. Give one of them @CacheConfig({ name: '…' }) or another class name.`
      : `${one.label} and ${other.label} both cache under the name "${name}" with the default key, so equal calls would return each other's results. Give them different names, or a "key" each.`,
  );
}
