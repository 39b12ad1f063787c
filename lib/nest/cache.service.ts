import type { CacheOptions } from '../core/cache-options.js';
import { Cache } from '../core/cache.js';
import type { ScopeContext } from '../core/scope.js';
import type { CacheStorage, Platform } from '../core/storage.js';

/**
 * The application's cache, injected by class; `@InjectCache(name)` injects a named one of the same type.
 *
 * Where `scope` names a level (`'user'`), its ids come from the request that is being served, at the time of the call,
 * or from `runInScope`. A missing id rejects with MissingScopeError; nothing ever falls back to a wider scope (P3).
 */
export class CacheService extends Cache {
  /** @internal made by CacheModule */
  constructor(
    options: CacheOptions,
    platform: Platform,
    context: ScopeContext,
    defaultStorage: () => CacheStorage,
    /** `undefined` for the application's main cache. */
    readonly name?: string,
  ) {
    super(options, platform, context, defaultStorage);
  }
}
