import {
  Inject,
  Logger,
  Module,
  Optional,
  type DynamicModule,
  type NestModule,
  type OnApplicationShutdown,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost } from '@nestjs/core';
import { toMs } from '../core/duration.js';
import { describe, InvalidOptionsError } from '../core/errors.js';
import { nodePlatform } from '../platform/node-platform.js';
import { memoryStorage } from '../storages/memory/memory-storage.js';
import type {
  CacheFeatureOptions,
  CacheModuleAsyncOptions,
  CacheModuleOptions,
} from './cache-module-options.js';
import { asyncOptions, checkedAsync, rootDefinition } from './cache-providers.js';
import { CacheRegistry } from './cache-registry.js';
import { CacheScopeInterceptor } from './cache-scope.interceptor.js';
import { MethodExplorer } from './method/method-explorer.js';
import { MethodRunner } from './method/method-runner.js';
import { RequestScopeContext } from './scope-context.js';
import { openScopeForHttp } from './scope-entry.js';
import { CACHE_METHODS, CACHE_MODULE_OPTIONS, checkedCacheName, getCacheToken } from './tokens.js';

const DEFAULTS = { platform: nodePlatform, storage: () => memoryStorage() };

/** A named cache, made for `CacheModule.forFeature`. */
@Module({})
class CacheFeatureModule {}

/**
 * Scoped caching for an application. Import `CacheModule.forRoot()` once, into the root module; `CacheService` and the
 * decorators then work everywhere. Opens the scope context for every request and closes the caches on shutdown (P17), when no
 * request can come any more.
 */
@Module({})
export class CacheModule implements NestModule, OnModuleInit, OnApplicationShutdown {
  /** @internal called by Nest */
  constructor(
    @Inject(CACHE_MODULE_OPTIONS) private readonly options: CacheModuleOptions,
    private readonly registry: CacheRegistry,
    private readonly context: RequestScopeContext,
    private readonly explorer: MethodExplorer,
    @Inject(CACHE_METHODS) private readonly runner: MethodRunner,
    interceptor: CacheScopeInterceptor,
    config: ApplicationConfig,
    @Optional() private readonly adapterHost?: HttpAdapterHost,
  ) {
    // Now, because Nest binds interceptors to message handlers before any hook of a module runs.
    explorer.prepareRoutes();
    if (explorer.receivesMessages) config.useGlobalInterceptors(interceptor);
  }

  /**
   * @param options see {@link CacheModuleOptions}; all have defaults
   * @throws InvalidOptionsError or InvalidDurationError when the application starts, naming the option
   */
  static forRoot(options: CacheModuleOptions = {}): DynamicModule {
    const provider = { provide: CACHE_MODULE_OPTIONS, useValue: options };
    return {
      module: CacheModule,
      ...rootDefinition(options?.isGlobal, [provider], undefined, DEFAULTS),
    };
  }

  /** {@link forRoot} with options that other providers have a say in. */
  static forRootAsync(options: CacheModuleAsyncOptions): DynamicModule {
    const { isGlobal, imports, extraProviders = [] } = checkedAsync(options);
    const providers = [...extraProviders, ...asyncOptions(options)];
    return { module: CacheModule, ...rootDefinition(isGlobal, providers, imports, DEFAULTS) };
  }

  /**
   * A named cache beside the main one: its options, those given here on top, and a namespace of its own. For
   * `@InjectCache(name)`, the decorators' `cache` option and `CacheRegistry`.
   */
  static forFeature(options: CacheFeatureOptions): DynamicModule {
    const { name, imports, ...overrides } = given(options, 'forFeature');
    const token = getCacheToken(checkedCacheName(name));
    const cache: Provider = {
      provide: token,
      inject: [CacheRegistry],
      useFactory: (registry: CacheRegistry) => registry.create(name, overrides),
    };
    return {
      module: CacheFeatureModule,
      imports: imports ?? [],
      providers: [cache],
      exports: [token],
    };
  }

  /** Called by Nest, after the body parsers are in place and before any route or middleware is. */
  configure(): void {
    const adapter = this.adapterHost?.httpAdapter;
    if (adapter) openScopeForHttp(adapter, this.context);
  }

  /** Called by Nest. */
  async onModuleInit(): Promise<void> {
    refuseTwice([...this.explorer.modules.values()].filter(isGlobalRoot).length);
    this.explorer.check(this.runner);
    await this.registry.ready();
  }

  /** Called by Nest, when the server has stopped listening. */
  async onApplicationShutdown(): Promise<void> {
    const failures = await this.registry.close(
      toMs(this.options.shutdownTimeout ?? '5s', 'shutdownTimeout'),
    );
    for (const failure of failures)
      new Logger('CacheModule').error(
        `Closing the caches: ${failure instanceof Error ? failure.message : describe(failure)}`,
      );
  }
}

function isGlobalRoot(module: { metatype: unknown; isGlobal: boolean }): boolean {
  return module.metatype === CacheModule && module.isGlobal;
}

function given<T>(options: T, method: string): T {
  if (typeof options === 'object' && options !== null) return options;
  throw new InvalidOptionsError(
    `CacheModule.${method}: expected an object of options, got ${describe(options)}.`,
  );
}

/** Two global modules have a cache each, and which of them a class gets would be a matter of chance. */
function refuseTwice(roots: number): void {
  if (roots > 1)
    throw new InvalidOptionsError(
      `CacheModule.forRoot() or forRootAsync() is imported ${roots} times. Import it once, into the root module, and CacheModule.forFeature({ name: '…' }) for more caches.`,
    );
}
