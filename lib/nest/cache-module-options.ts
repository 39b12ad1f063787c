import type {
  InjectionToken,
  ModuleMetadata,
  OptionalFactoryDependency,
  Provider,
  Type,
} from '@nestjs/common';
import type { CacheOptions } from '../core/cache-options.js';
import type { Duration } from '../core/duration.js';

/** The options of `CacheModule.forRoot`: those of the cache, and a few of the module. All optional. */
export interface CacheModuleOptions extends CacheOptions {
  /** `false`: only modules that import this one see the cache. Default `true`. */
  readonly isGlobal?: boolean;
  /** How long shutdown waits for pending writes and connections to end. Default `'5s'`; `0` does not wait. */
  readonly shutdownTimeout?: Duration;
}

/** For `forRootAsync({ useClass })` and `useExisting`. */
export interface CacheOptionsFactory {
  createCacheOptions(): CacheModuleOptions | Promise<CacheModuleOptions>;
}

/** How `CacheModule.forRootAsync` finds its options: exactly one of `useFactory`, `useClass` and `useExisting`. */
export interface CacheModuleAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /**
   * `false`: only modules that import this one see the cache. Default `true`. It belongs here, because Nest decides it
   * before it calls the factory; a factory that returns the opposite is an error.
   */
  readonly isGlobal?: boolean;
  /** What `useFactory` gets as arguments. */
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  // oxlint-disable-next-line typescript/no-explicit-any -- the arguments are whatever `inject` names
  readonly useFactory?: (...args: any[]) => CacheModuleOptions | Promise<CacheModuleOptions>;
  /** A class that this module instantiates. */
  readonly useClass?: Type<CacheOptionsFactory>;
  /** A provider of an imported module. */
  readonly useExisting?: InjectionToken<CacheOptionsFactory>;
  /** Providers that the factory needs and no imported module has. */
  readonly extraProviders?: Provider[];
}

/** For `CacheModule.forFeature`: a cache of its own, with the root cache's options unless overridden. */
export interface CacheFeatureOptions extends CacheOptions, Pick<ModuleMetadata, 'imports'> {
  /** For `@InjectCache(name)` and the decorators' `cache` option. Unique in the application; 1 to 100 characters. */
  readonly name: string;
}
