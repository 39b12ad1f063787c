import { Inject } from '@nestjs/common';
import { describe, InvalidOptionsError } from '../core/errors.js';

/** Token of the module's options, as given. Its text is what Nest shows to those who import the bare class. */
export const CACHE_MODULE_OPTIONS: unique symbol = Symbol.for(
  'options of nestjs-scoped-cache: import CacheModule.forRoot(), not CacheModule',
);

/** Token of the clock, digest and randomness that caches use. Override it in tests, for example with a manual clock. */
export const CACHE_PLATFORM: unique symbol = Symbol.for('nestjs-scoped-cache:platform');

/**
 * Token of what runs decorated methods. Its text is what Nest shows when a class with `@Cacheable` cannot be built because
 * the module is missing, so it says what to import.
 * @internal
 */
export const CACHE_METHODS: unique symbol = Symbol.for(
  'CacheModule of nestjs-scoped-cache: import CacheModule.forRoot() into the root module, or into this one if it was made with isGlobal: false',
);

/** The injection token of the cache that `CacheModule.forFeature({ name })` made. Its text says what to import. */
export function getCacheToken(name: string): symbol {
  return Symbol.for(
    `cache of nestjs-scoped-cache: import CacheModule.forFeature({ name: ${JSON.stringify(checkedCacheName(name))} }) into this module`,
  );
}

/**
 * Injects the cache that `CacheModule.forFeature({ name })` made, as a `CacheService`.
 * @throws InvalidOptionsError when the name is no string of 1 to 100 characters
 */
export function InjectCache(name: string): ParameterDecorator & PropertyDecorator {
  return Inject(getCacheToken(name));
}

/** @internal */
export function checkedCacheName(name: unknown): string {
  if (typeof name === 'string' && name !== '' && name.length <= 100) return name;
  throw new InvalidOptionsError(
    `name: expected a string of 1 to 100 characters; got ${describe(name)}.`,
  );
}
