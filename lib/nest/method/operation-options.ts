import type { InjectionToken } from '@nestjs/common';
import type { CacheKey } from '../../core/cache-key.js';
import type { LoadingOptions, TierOptions, TypeOption } from '../../core/cache-options.js';
import type { Duration } from '../../core/duration.js';
import type { ScopeSelector } from '../../core/scope.js';
import type { CallContext } from './call-context.js';

/* oxlint-disable typescript/no-explicit-any -- argument and result types are inferred where users give them */

/** A value, or how to find it for one call. */
export type PerCall<T, Args extends readonly unknown[] = any[], Result = any> =
  T | ((call: CallContext<Args, Result>) => T);

/** A test on one call, at once or by a promise. */
export type Test<Args extends readonly unknown[] = any[], Result = any> = (
  call: CallContext<Args, Result>,
) => boolean | Promise<boolean>;

/** A key generator, found by its injection token (`keyGenerator`). */
export interface KeyGenerator {
  /** A key, or a part of one; `undefined` is refused. */
  generate(call: CallContext): CacheKey | number | bigint | boolean | null;
}

/** What all cache decorators have in common. */
export interface OperationOptions<Args extends readonly unknown[] = any[], Result = any> {
  /**
   * Names the entries of this method, for `@CacheEvict` and `@CachePut` to find. Several names keep a copy under each.
   * Default: that of `@CacheConfig`, else `Class.method` with the class that the method was called on.
   */
  readonly name?: string | readonly string[];
  /**
   * `'global'`, a level (`'user'`: ids of the current request), explicit ids, or a function that says so for a call.
   * Default: that of `@CacheConfig`, else global; a handler whose request carries a user then runs uncached until
   * `'global'` is written out (P3).
   */
  readonly scope?: PerCall<ScopeSelector, Args, Result>;
  /**
   * What tells calls apart: a function of the call, or a template such as `'profile:{params.id}'`, whose placeholders are
   * paths into the call (`args`, `params`, `query`, `body`, `user`, `data`, and `result` where there is one). Placeholders
   * keep their type, so `1` and `'1'` differ; one without a value is refused. `{{` stands for a brace.
   * Default: the `@CacheKey()` parameters; else the arguments of a provider method; the route, its parameters and the
   * query of an HTTP handler; the payload of a message.
   */
  readonly key?: string | ((call: CallContext<Args, Result>) => unknown);
  /** Injection token of a {@link KeyGenerator}; instead of `key`. */
  readonly keyGenerator?: InjectionToken<KeyGenerator>;
  /** Nothing is done for calls that this refuses. Default: all calls count. */
  readonly condition?: Test<Args, Result>;
  /** A cache made by `CacheModule.forFeature({ name })`. Default: the main one. */
  readonly cache?: string;
  /** What happens when an id of the scope is missing: run uncached with one warning, or throw MissingScopeError. Default `'bypass'`. */
  readonly onMissingScope?: 'bypass' | 'throw';
}

/** For `@CachePut`, and the part of `@Cacheable` that is about storing. */
export interface CachePutOptions<Args extends readonly unknown[] = any[], Result = any>
  extends OperationOptions<Args, Result>, TypeOption, TierOptions {
  /** Life of the entry. Default: that of `@CacheConfig`, else of the cache. `0`: not stored. */
  readonly ttl?: PerCall<Duration, Args, Result>;
  /** Each hit gives the entry its full TTL again. Default `false`. */
  readonly sliding?: boolean;
  /** For `evictTags`. At most 60. Those starting with `@` are taken. Default: none. */
  readonly tags?: PerCall<readonly string[], Args, Result>;
  /** Results that are not stored, by `result`. Default: all are. */
  readonly unless?: Test<Args, Result>;
  /** How long after its TTL the value may still serve. Default: that of the cache. */
  readonly grace?: Duration;
  /** Random part of the TTL, 0 to 1. Default: that of the cache. */
  readonly jitter?: number;
}

/** For `@Cacheable`. */
export interface CacheableOptions<Args extends readonly unknown[] = any[], Result = any>
  extends CachePutOptions<Args, Result>, LoadingOptions {
  /** Request headers that the response depends on; they become part of the key. Default: those taken by `@Headers('name')`. */
  readonly vary?: readonly string[];
  /** The query parameters that matter, for the default key; others cannot grow the cache. Default: all. */
  readonly query?: readonly string[];
}

/** For `@CacheEvict`. Without `key`, `tags` and `allEntries`, the default key is evicted. */
export interface CacheEvictOptions<
  Args extends readonly unknown[] = any[],
  Result = any,
> extends OperationOptions<Args, Result> {
  /** Evict by these tags, in the scope and below it. */
  readonly tags?: PerCall<readonly string[], Args, Result>;
  /** Evict all entries of `name` in the scope and below it; without any name, the whole scope, which must then be given. */
  readonly allEntries?: boolean;
  /** Evict before the method runs, whether or not it succeeds. Default `false`: after it has succeeded. */
  readonly beforeInvocation?: boolean;
}

/** Defaults for all decorated methods of a class and of the classes that extend it. */
export type CacheConfigOptions = Pick<
  CacheableOptions,
  'name' | 'scope' | 'ttl' | 'cache' | 'keyGenerator' | 'onMissingScope'
>;
/* oxlint-enable typescript/no-explicit-any */

/** One decorator on one method. */
export type Operation =
  | { readonly kind: 'cacheable'; readonly options: CacheableOptions }
  | { readonly kind: 'put'; readonly options: CachePutOptions }
  | { readonly kind: 'evict'; readonly options: CacheEvictOptions };
