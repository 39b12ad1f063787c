import { createParamDecorator, Inject, Logger, type ExecutionContext } from '@nestjs/common';
import { defer } from 'rxjs';
import { describe, InvalidOptionsError } from '../../core/errors.js';
import { CACHE_METHODS } from '../tokens.js';
import type { MethodRunner } from './method-runner.js';
import { declaredParameters, isDeclaredObservable, parameterCount } from './nest-metadata.js';
import type { Operation } from './operation-options.js';

type AnyMethod = (...args: unknown[]) => unknown;

const METHOD: unique symbol = Symbol.for('nestjs-scoped-cache:method');
const KEY_PARAMETERS: unique symbol = Symbol.for('nestjs-scoped-cache:key-parameters');
const METHODS: unique symbol = Symbol.for('nestjs-scoped-cache:methods');
const RUNNER: unique symbol = Symbol.for('nestjs-scoped-cache:runner');
const EXECUTION: unique symbol = Symbol.for('nestjs-scoped-cache:execution');

/** What the hidden parameter holds. */
interface Carrier {
  (): ExecutionContext;
  [EXECUTION]?: true;
}

/** Where the hidden parameter goes: behind any that a method declares, also in a subclass that declares more. */
const HIDDEN_INDEX = 15;

/**
 * A method with cache decorators: the function as written, and what to do around it.
 *
 * One wrapper serves handlers and provider methods alike. A handler's wrapper gets the ExecutionContext by a parameter
 * decorator of its own, put on a parameter that nobody declared. So the cache sits right around the method: guards and pipes
 * have run, interceptors (ClassSerializerInterceptor, for example) treat a hit like any result, and no interceptor is added.
 */
export class CachedMethod {
  /** In the order of the decorators as they are written. */
  readonly operations: Operation[] = [];
  /** Indexes of `@CacheKey()` parameters, ascending. */
  readonly keyParameters: readonly number[];
  readonly returnsObservable: boolean;
  readonly hiddenIndex: number;
  readonly #parameterCount: number;
  #hasWarned = false;
  #receivesContext = false;

  /** @param prototype the class's that declares the method */
  constructor(
    readonly prototype: object,
    readonly name: string | symbol,
    readonly original: AnyMethod,
  ) {
    const marked = Reflect.getMetadata(KEY_PARAMETERS, prototype.constructor, name) as
      number[] | undefined;
    this.keyParameters = [...(marked ?? [])].sort((one, other) => one - other);
    this.returnsObservable = isDeclaredObservable(prototype, name);
    const declared = Object.values(declaredParameters(prototype.constructor, name));
    this.#parameterCount = parameterCount(prototype, name, lengthOf(original, declared));
    this.hiddenIndex = this.#indexBehind(declared.map(({ index }) => index));
    // Message handlers may take their payload without any parameter decorator; a decorated parameter would change what Nest
    // passes them. They find their context in the asynchronous one instead (CacheScopeInterceptor).
    if (declared.length > 0 || this.#parameterCount === 0) this.receiveContext();
  }

  /** Calls the method as written. */
  call(target: object, args: readonly unknown[]): unknown {
    return Reflect.apply(this.original, target, args);
  }

  /** The function that takes the original's place. Carries its metadata, name and length. */
  wrap(): AnyMethod {
    // oxlint-disable-next-line typescript/no-this-alias -- `this` inside is the object that the method is called on
    const method = this;
    const wrapper = function (this: object, ...given: unknown[]): unknown {
      return method.#run(this, given);
    };
    for (const key of Reflect.getMetadataKeys(this.original) as unknown[])
      Reflect.defineMetadata(key, Reflect.getMetadata(key, this.original), wrapper);
    Object.defineProperties(wrapper, {
      name: { value: this.original.name, configurable: true },
      length: { value: this.original.length, configurable: true },
      [METHOD]: { value: this },
    });
    return wrapper;
  }

  /** @param target `undefined` where the method was taken from its object, as a callback for example */
  #run(target: object, given: unknown[]): unknown {
    const { execution, args } = this.#split(given);
    const runner = runnerOf(target);
    if (!runner) {
      this.#warnUnmanaged(target);
      return this.call(target, args);
    }
    if (this.returnsObservable)
      return defer(() => runner.run(this, target, args, execution) as Promise<unknown>);
    return runner.run(this, target, args, execution);
  }

  /** Takes the hidden parameter out again. */
  #split(given: unknown[]): { args: unknown[]; execution: ExecutionContext | undefined } {
    const carrier = given[this.hiddenIndex] as Carrier | undefined;
    if (carrier?.[EXECUTION] !== true) return { args: given, execution: undefined };
    return { args: given.slice(0, this.#parameterCount), execution: carrier() };
  }

  /**
   * Puts the hidden parameter on a handler that declares no decorated one, too. For HTTP, where Nest passes nothing to
   * parameters without decorators; must be called before Nest makes the routes.
   */
  receiveContext(): void {
    if (this.#receivesContext) return;
    this.#receivesContext = true;
    withExecutionContext()(this.prototype, this.name, this.hiddenIndex);
  }

  /** Behind all that are declared. */
  #indexBehind(declared: readonly number[]): number {
    return Math.max(HIDDEN_INDEX, this.#parameterCount, ...declared.map((index) => index + 1));
  }

  /** Made with `new`, by a factory for example, it was given no cache. In a unit test that is fine, so it just says so. */
  #warnUnmanaged(target: object | undefined): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const { name } = target?.constructor ?? this.prototype.constructor;
    const why = target
      ? 'Nest did not build this instance, so it runs uncached. Register the class itself as a provider.'
      : 'it was called without its object, so it runs uncached. Call it on the object, or bind it.';
    new Logger('CacheModule').warn(`${name}.${String(this.name)} has cache decorators, but ${why}`);
  }
}

/**
 * How many parameters a method has, as far as it shows where compilers emit no types (esbuild): `length` ends before the
 * first default value, but those that have decorators are there in any case. An overridden method's hidden one is not.
 */
function lengthOf(original: AnyMethod, declared: readonly { readonly index: number }[]): number {
  const own = declared.filter(({ index }) => index < HIDDEN_INDEX);
  return Math.max(original.length, ...own.map(({ index }) => index + 1));
}

/** The decorated method behind a function, if it is one. */
function cachedMethodOf(method: object): CachedMethod | undefined {
  return (method as { [METHOD]?: CachedMethod })[METHOD];
}

/** What runs the decorated methods of an instance; `undefined` for one that was not given anything yet, or never will be. */
export function runnerOf(instance: unknown): MethodRunner | undefined {
  return (instance as { [RUNNER]?: MethodRunner } | null | undefined)?.[RUNNER];
}

/**
 * The methods with cache decorators that a class declares itself, in the order in which they were decorated. Found also
 * where another decorator has put a function of its own around them.
 */
export function declaredCachedMethods(prototype: object): readonly CachedMethod[] {
  return Object.hasOwn(prototype, METHODS)
    ? (prototype as { [METHODS]: readonly CachedMethod[] })[METHODS]
    : [];
}

/** A decorator that adds operations to a method, whatever other cache decorators it has. */
export function operationsDecorator(
  added: readonly Operation[],
  decorator: string,
): MethodDecorator {
  return ((
    prototype: object,
    name: string | symbol,
    descriptor?: TypedPropertyDescriptor<AnyMethod>,
  ) => {
    const original = descriptor?.value;
    if (isGenerator(original))
      throw new InvalidOptionsError(
        `@${decorator}: ${String(name)} is a generator, whose results cannot be stored. Return an array, or a promise of one.`,
      );
    if (typeof name === 'object')
      throw new InvalidOptionsError(
        `@${decorator} is compiled as a standard decorator. Nest and this module need "experimentalDecorators": true in tsconfig.json.`,
      );
    if (typeof original !== 'function' || typeof prototype === 'function')
      throw new InvalidOptionsError(
        `@${decorator} belongs on a method of an object, not on ${misplaced(prototype, name)}.`,
      );
    const known = cachedMethodOf(original);
    const method = known ?? new CachedMethod(prototype, name, original);
    // Decorators run from the bottom up.
    method.operations.unshift(...added);
    if (known) return;
    const methods = [...declaredCachedMethods(prototype), method];
    Object.defineProperty(prototype, METHODS, { value: methods, configurable: true });
    Inject(CACHE_METHODS)(prototype, RUNNER);
    descriptor!.value = method.wrap();
  }) as MethodDecorator;
}

/** Marks a parameter as part of the key: see `CacheKey`. */
export function markKeyParameter(prototype: object, name: string | symbol, index: number): void {
  const marked = (Reflect.getOwnMetadata(KEY_PARAMETERS, prototype.constructor, name) ??
    []) as number[];
  Reflect.defineMetadata(KEY_PARAMETERS, [...marked, index], prototype.constructor, name);
}

// A function rather than the context itself: global pipes that walk through values leave functions alone.
const carry = (_data: unknown, execution: ExecutionContext): Carrier => {
  const carrier: Carrier = () => execution;
  carrier[EXECUTION] = true;
  return carrier;
};
const withExecutionContext = createParamDecorator(carry);

function isGenerator(method: unknown): boolean {
  const tag = Object.prototype.toString.call(method);
  return tag === '[object GeneratorFunction]' || tag === '[object AsyncGeneratorFunction]';
}

function misplaced(prototype: object, name: string | symbol | undefined): string {
  if (name === undefined) return `the class ${(prototype as { name: string }).name}`;
  return typeof prototype === 'function'
    ? `the static ${String(name)}`
    : `the property ${describe(String(name))}`;
}
