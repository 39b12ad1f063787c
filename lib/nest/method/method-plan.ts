import type { PreparedHits } from '../../core/cache-reader.js';
import type { LoadOptions } from '../../core/cache-options.js';
import { InvalidOptionsError } from '../../core/errors.js';
import type { ScopeTree } from '../../core/scope-tree.js';
import type { CacheRegistry } from '../cache-registry.js';
import type { CacheService } from '../cache.service.js';
import { configOf } from '../decorators/cache-config.js';
import type { CachedMethod } from './cached-method.js';
import { bareRouteKey } from './entry-key.js';
import type { MadeFor } from './method-tools.js';
import { inputsOf, routeOf, type HandlerInputs } from './nest-metadata.js';
import type {
  CacheableOptions,
  CacheEvictOptions,
  CachePutOptions,
  OperationOptions,
} from './operation-options.js';

/** One operation of one method as one class has it: defaults of the class filled in, names and caches found. */
export interface Planned<O extends OperationOptions> {
  readonly options: O;
  readonly cache: CacheService;
  /** Whether the key is the application's own rather than the default. */
  readonly hasOwnKey: boolean;
}
export interface PlannedStore<O extends CachePutOptions = CachePutOptions> extends Planned<O> {
  readonly name: string;
  /** Everything about storing that no call changes; scope included when it is fixed. */
  readonly fixed: LoadOptions;
}
export interface PlannedCacheable extends PlannedStore<CacheableOptions> {
  /** Lower-case header names. */
  readonly vary: readonly string[];
  /** Inputs of the handler that this operation's key does not cover, as they are written: `@Ip()`, … */
  readonly unkeyed: readonly string[];
  /** See {@link bareRouteKey}. */
  readonly bareKey: string | undefined;
  /** For hits that need no promise; `undefined` where there are none. */
  readonly hits: PreparedHits | undefined;
}
export interface PlannedEvict extends Planned<CacheEvictOptions> {
  readonly names: readonly string[];
}

/** What to do around one method of one class. */
export interface MethodPlan {
  readonly method: CachedMethod;
  /** The class whose instance the method is called on, which may be derived from the declaring one. */
  readonly type: { readonly name: string; readonly prototype: object };
  /** `Class.method`, for messages and as the default name. */
  readonly label: string;
  readonly route: string | undefined;
  /** See {@link MethodTools.madeFor}. */
  readonly madeFor: MadeFor;
  readonly inputs: HandlerInputs;
  readonly cacheables: readonly PlannedCacheable[];
  readonly puts: readonly PlannedStore[];
  readonly evicts: readonly PlannedEvict[];
}

/**
 * @param type the class whose instance the method is called on, which may be derived from the declaring one
 * @throws InvalidOptionsError for a missing name or cache, UnknownScopeError for a level that the cache does not have
 */
export function planMethod(
  method: CachedMethod,
  type: { name: string; prototype: object },
  registry: CacheRegistry,
  madeFor: MadeFor,
): MethodPlan {
  const planner = new Planner(method, type, registry);
  return {
    method,
    type,
    label: planner.label,
    route: planner.route,
    madeFor,
    inputs: planner.inputs,
    cacheables: method.operations.flatMap((one) =>
      one.kind === 'cacheable' ? planner.cacheables(one.options) : [],
    ),
    puts: method.operations.flatMap((one) => (one.kind === 'put' ? planner.puts(one.options) : [])),
    evicts: method.operations.flatMap((one) =>
      one.kind === 'evict' ? [planner.evict(one.options)] : [],
    ),
  };
}

/** The tag that every entry of a name carries, for `allEntries`. */
export function nameTag(name: string): string {
  return `@name:${name}`;
}

/** Options that go to the cache as they are. */
const KEPT =
  'type skipNear skipFar sliding grace jitter softTimeout hardTimeout graceThrottle refreshAhead earlyExpiration lease errorTtl'.split(
    ' ',
  );

/** Never before the end of the TTL, whatever the cache does by default. */
const NO_REFRESH = { refreshAhead: 1, earlyExpiration: 0 };

class Planner {
  readonly label: string;
  readonly route: string | undefined;
  readonly inputs: HandlerInputs;

  constructor(
    readonly method: CachedMethod,
    readonly type: { name: string; prototype: object },
    readonly registry: CacheRegistry,
  ) {
    this.label = `${type.name}.${String(method.name)}`;
    const handler = (type.prototype as Record<string | symbol, unknown>)[method.name];
    this.route = typeof handler === 'function' ? routeOf(type, handler) : undefined;
    this.inputs = inputsOf(type, method.name, method.hiddenIndex, this.route !== undefined);
  }

  /** One look-up for each name. */
  cacheables(own: CacheableOptions): PlannedCacheable[] {
    return this.#stores(own).map((store) => this.#cacheable(own, store));
  }

  /** One put for each name. */
  puts(own: CachePutOptions): PlannedStore[] {
    return this.#stores(own);
  }

  evict(own: CacheEvictOptions): PlannedEvict {
    const planned = this.#planned(own);
    const { tags, allEntries, scope } = planned.options;
    const names = namesOf(planned.options);
    if (names.length === 0 && !tags && !(allEntries && scope !== undefined))
      throw new InvalidOptionsError(
        `@CacheEvict on ${this.label}: name what to evict: "name" (that of the @Cacheable method, by default "Class.method"), "tags", or "allEntries" with a "scope".`,
      );
    return { ...planned, names };
  }

  #cacheable(own: CacheableOptions, store: PlannedStore<CacheableOptions>): PlannedCacheable {
    const declared = store.hasOwnKey ? [] : this.inputs.headers;
    const vary = [
      ...new Set([...declared, ...(own.vary ?? [])].map((name) => name.toLowerCase())),
    ].sort();
    const covered = store.hasOwnKey ? this.inputs.unkeyed : own.vary ? ['@Headers()'] : [];
    const unkeyed = this.inputs.unkeyed.filter((input) => !covered.includes(input));
    // A refresh would run with the response of a request that is about to get its answer from the cache.
    const fixed = this.inputs.takesResponse
      ? Object.freeze({ ...store.fixed, ...NO_REFRESH })
      : store.fixed;
    const isBare = this.route !== undefined && !store.hasOwnKey && vary.length === 0;
    return {
      ...store,
      fixed,
      vary,
      unkeyed,
      bareKey: isBare ? bareRouteKey(store.name, this.route!, this.inputs) : undefined,
      hits: store.cache.prepareHits(fixed),
    };
  }

  #stores<O extends CachePutOptions>(own: O): PlannedStore<O>[] {
    const planned = this.#planned(own);
    const names = namesOf(planned.options);
    return (names.length === 0 ? [this.label] : names).map((name) => this.#store(planned, name));
  }

  #store<O extends CachePutOptions>(planned: Planned<O>, name: string): PlannedStore<O> {
    const { ttl, tags, scope } = planned.options;
    const given = planned.options as Record<string, unknown>;
    const kept = KEPT.filter((option) => given[option] !== undefined);
    const fixed: Record<string, unknown> = Object.fromEntries(
      kept.map((option) => [option, given[option]]),
    );
    fixed['tags'] = [nameTag(name), ...(typeof tags === 'function' ? [] : (tags ?? []))];
    if (typeof ttl !== 'function' && ttl !== undefined) fixed['ttl'] = ttl;
    if (typeof scope !== 'function' && scope !== undefined) fixed['scope'] = scope;
    return { ...planned, name, fixed: Object.freeze(fixed) as LoadOptions };
  }

  #planned<O extends OperationOptions>(own: O): Planned<O> {
    const { keyGenerator, ...defaults } = configOf(this.type);
    const generator = own.key === undefined && keyGenerator !== undefined ? { keyGenerator } : {};
    const options = { ...defaults, ...generator, ...own };
    const cache = this.registry.get(options.cache);
    checkScope(options.scope, cache.scopes);
    const hasOwnKey =
      options.key !== undefined ||
      options.keyGenerator !== undefined ||
      this.method.keyParameters.length > 0;
    return { options, cache, hasOwnKey };
  }
}

/** Explicit ids and level names are checked now, so that a misspelt level stops the application, not a request. */
function checkScope(scope: OperationOptions['scope'], scopes: ScopeTree): void {
  const isLevel = typeof scope === 'string' && scopes.names.includes(scope);
  if (typeof scope !== 'function' && !isLevel) scopes.pathOf(scope, undefined);
}

/** The names of an operation, its class's included. */
function namesOf({ name }: OperationOptions): readonly string[] {
  if (name === undefined) return [];
  return typeof name === 'string' ? [name] : name;
}
