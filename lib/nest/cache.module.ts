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
import { ApplicationConfig, HttpAdapterHost, ModuleRef, ModulesContainer } from '@nestjs/core';
import { toMs } from '../core/duration.js';
import { describe, InvalidOptionsError } from '../core/errors.js';
import type { Platform } from '../core/storage.js';
import { nodePlatform } from '../platform/node-platform.js';
import { memoryStorage } from '../storages/memory/memory-storage.js';
import type {
  CacheFeatureOptions,
  CacheModuleAsyncOptions,
  CacheModuleOptions,
  CacheOptionsFactory,
} from './cache-module-options.js';
import { CacheRegistry } from './cache-registry.js';
import { CacheScopeInterceptor } from './cache-scope.interceptor.js';
import { CacheService } from './cache.service.js';
import { KeyMaker } from './method/entry-key.js';
import { MethodExplorer } from './method/method-explorer.js';
import { MethodRunner } from './method/method-runner.js';
import { MethodWarnings } from './method/method-warnings.js';
import { RequestScopeContext } from './scope-context.js';
import { openScopeForHttp } from './scope-entry.js';
import {
  CACHE_METHODS,
  CACHE_MODULE_OPTIONS,
  CACHE_PLATFORM,
  checkedCacheName,
  getCacheToken,
} from './tokens.js';

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
    if (explorer.receivesMessages) config.useGlobalInterceptors(interceptor);
  }

  /**
   * @param options see {@link CacheModuleOptions}; all have defaults
   * @throws InvalidOptionsError or InvalidDurationError when the application starts, naming the option
   */
  static forRoot(options: CacheModuleOptions = {}): DynamicModule {
    return rootModule(
      options?.isGlobal,
      [{ provide: CACHE_MODULE_OPTIONS, useValue: options }],
      undefined,
    );
  }

  /** {@link forRoot} with options that other providers have a say in. */
  static forRootAsync(options: CacheModuleAsyncOptions): DynamicModule {
    const { isGlobal, imports, extraProviders = [] } = options;
    return rootModule(isGlobal, [...extraProviders, ...asyncOptions(options)], imports);
  }

  /**
   * A named cache beside the main one: its options, those given here on top, and a namespace of its own. For
   * `@InjectCache(name)`, the decorators' `cache` option and `CacheRegistry`.
   */
  static forFeature({ name, imports, ...overrides }: CacheFeatureOptions): DynamicModule {
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

  /** @internal called by Nest, after the body parsers are in place and before any route or middleware is */
  configure(): void {
    const adapter = this.adapterHost?.httpAdapter;
    if (adapter) openScopeForHttp(adapter, this.context);
  }

  /** @internal called by Nest */
  onModuleInit(): void {
    this.explorer.check(this.runner);
  }

  /** @internal called by Nest, when the server has stopped listening */
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

function rootModule(
  isGlobal: boolean | undefined,
  options: Provider[],
  imports: DynamicModule['imports'],
): DynamicModule {
  if (isGlobal !== undefined && typeof isGlobal !== 'boolean')
    throw new InvalidOptionsError(`isGlobal: expected true or false; got ${describe(isGlobal)}.`);
  const global = isGlobal ?? true;
  return {
    module: CacheModule,
    global,
    imports: imports ?? [],
    providers: [...options, ...coreProviders(global)],
    exports: [
      CacheService,
      CacheRegistry,
      CACHE_METHODS,
      RequestScopeContext,
      CacheScopeInterceptor,
    ],
  };
}

function coreProviders(isGlobal: boolean): Provider[] {
  return [
    { provide: CACHE_PLATFORM, useValue: nodePlatform },
    { provide: RequestScopeContext, useFactory: () => new RequestScopeContext() },
    {
      provide: CacheRegistry,
      inject: [CACHE_MODULE_OPTIONS, CACHE_PLATFORM, RequestScopeContext],
      useFactory: (options: CacheModuleOptions, platform: Platform, context: RequestScopeContext) =>
        new CacheRegistry(cacheOptionsOf(options, isGlobal), platform, context, () =>
          memoryStorage(),
        ),
    },
    {
      provide: CacheService,
      inject: [CacheRegistry],
      useFactory: (registry: CacheRegistry) => registry.main,
    },
    {
      provide: MethodExplorer,
      inject: [ModulesContainer],
      useFactory: (modules: ModulesContainer) => new MethodExplorer(modules),
    },
    {
      provide: CACHE_METHODS,
      inject: [
        CacheRegistry,
        RequestScopeContext,
        MethodExplorer,
        ModuleRef,
        { token: HttpAdapterHost, optional: true },
      ],
      useFactory: methodRunner,
    },
    CacheScopeInterceptor,
  ];
}

function methodRunner(
  registry: CacheRegistry,
  context: RequestScopeContext,
  explorer: MethodExplorer,
  modules: ModuleRef,
  adapterHost: HttpAdapterHost | undefined,
): MethodRunner {
  const hasVariants = (name: string): boolean => explorer.hasVariants(name, runner);
  const { clock } = registry.platform;
  const tools = {
    keys: new KeyMaker(modules),
    warnings: new MethodWarnings(),
    context,
    clock,
    hasVariants,
  };
  const runner: MethodRunner = new MethodRunner(registry, context, tools, adapterHost);
  return runner;
}

/** The module's own options taken out, and checked. */
function cacheOptionsOf(
  options: CacheModuleOptions,
  isGlobal: boolean,
): Omit<CacheModuleOptions, 'isGlobal' | 'shutdownTimeout'> {
  if (options === null || typeof options !== 'object')
    throw new InvalidOptionsError(
      `CacheModule options: expected an object, got ${describe(options)}.`,
    );
  const { isGlobal: chosen, shutdownTimeout, ...cacheOptions } = options;
  toMs(shutdownTimeout ?? '5s', 'shutdownTimeout');
  if (chosen !== undefined && chosen !== isGlobal)
    throw new InvalidOptionsError(
      `isGlobal: the options factory returned ${describe(chosen)}, but Nest needs to know before it calls the factory. Move it: CacheModule.forRootAsync({ isGlobal: ${String(chosen)}, useFactory: … }).`,
    );
  return cacheOptions;
}

function asyncOptions({
  useFactory,
  useClass,
  useExisting,
  inject,
}: CacheModuleAsyncOptions): Provider[] {
  if ([useFactory, useClass, useExisting].filter((way) => way !== undefined).length !== 1)
    throw new InvalidOptionsError(
      'CacheModule.forRootAsync: give exactly one of useFactory, useClass and useExisting.',
    );
  if (useFactory) return [{ provide: CACHE_MODULE_OPTIONS, useFactory, inject: inject ?? [] }];
  const token = useClass ?? useExisting!;
  const create: Provider = {
    provide: CACHE_MODULE_OPTIONS,
    inject: [token],
    useFactory: (factory: CacheOptionsFactory) => factory.createCacheOptions(),
  };
  return useClass ? [{ provide: useClass, useClass }, create] : [create];
}
