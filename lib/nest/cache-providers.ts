import type { DynamicModule, Provider } from '@nestjs/common';
import { HttpAdapterHost, ModuleRef, ModulesContainer } from '@nestjs/core';
import { toMs } from '../core/duration.js';
import { describe, InvalidOptionsError } from '../core/errors.js';
import { checkKnown } from '../core/known-options.js';
import type { CacheStorage, Platform } from '../core/storage.js';
import type {
  CacheModuleAsyncOptions,
  CacheModuleOptions,
  CacheOptionsFactory,
} from './cache-module-options.js';
import { CacheRegistry } from './cache-registry.js';
import { CacheScopeInterceptor } from './cache-scope.interceptor.js';
import { CacheService } from './cache.service.js';
import { KeyMaker } from './method/entry-key.js';
import { HitMembers } from './method/cache-status.js';
import { MethodExplorer } from './method/method-explorer.js';
import { MethodRunner } from './method/method-runner.js';
import { MethodWarnings } from './method/method-warnings.js';
import { PerRequestCheck } from './per-request-check.js';
import { RequestScopeContext } from './scope-context.js';
import { CACHE_METHODS, CACHE_MODULE_OPTIONS, CACHE_PLATFORM } from './tokens.js';

/** What the module falls back to; only cache.module.ts knows their implementations. */
export interface ModuleDefaults {
  readonly platform: Platform;
  storage(): CacheStorage;
}

/** @internal the dynamic module of `forRoot` and `forRootAsync`, without its class */
export function rootDefinition(
  isGlobal: boolean | undefined,
  options: Provider[],
  imports: DynamicModule['imports'],
  defaults: ModuleDefaults,
): Omit<DynamicModule, 'module'> {
  if (isGlobal !== undefined && typeof isGlobal !== 'boolean')
    throw new InvalidOptionsError(`isGlobal: expected true or false; got ${describe(isGlobal)}.`);
  const global = isGlobal ?? true;
  return {
    global,
    imports: imports ?? [],
    providers: [...options, ...coreProviders(global, defaults)],
    exports: [
      CacheService,
      CacheRegistry,
      CACHE_METHODS,
      RequestScopeContext,
      CacheScopeInterceptor,
    ],
  };
}

function coreProviders(isGlobal: boolean, defaults: ModuleDefaults): Provider[] {
  return [
    { provide: CACHE_PLATFORM, useValue: defaults.platform },
    { provide: RequestScopeContext, useFactory: () => new RequestScopeContext() },
    {
      provide: CacheRegistry,
      inject: [CACHE_MODULE_OPTIONS, CACHE_PLATFORM, RequestScopeContext],
      useFactory: (options: CacheModuleOptions, platform: Platform, context: RequestScopeContext) =>
        new CacheRegistry(cacheOptionsOf(options, isGlobal), platform, context, defaults.storage),
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
      provide: PerRequestCheck,
      inject: [ModulesContainer],
      useFactory: (modules: ModulesContainer) => new PerRequestCheck(modules),
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
    hits: new HitMembers(),
    keys: new KeyMaker(modules),
    warnings: new MethodWarnings(),
    context,
    clock,
    hasVariants,
    madeFor: (type: object) => explorer.madeFor(type),
  };
  const runner: MethodRunner = new MethodRunner(registry, context, tools, adapterHost);
  return runner;
}

/** The module's own options taken out, and checked. */
function cacheOptionsOf(
  options: CacheModuleOptions,
  isGlobal: boolean,
): Omit<CacheModuleOptions, 'isGlobal' | 'shutdownTimeout'> {
  if (options === null || typeof options !== 'object' || Array.isArray(options))
    throw new InvalidOptionsError(
      `CacheModule options: expected an object, got ${describe(options)}.`,
    );
  const { isGlobal: chosen, shutdownTimeout, ...cacheOptions } = options;
  if (shutdownTimeout !== undefined) toMs(shutdownTimeout, 'shutdownTimeout');
  if (chosen !== undefined && chosen !== isGlobal)
    throw new InvalidOptionsError(
      `isGlobal: the options factory returned ${describe(chosen)}, but Nest needs to know before it calls the factory. Move it: CacheModule.forRootAsync({ isGlobal: ${String(chosen)}, useFactory: … }).`,
    );
  return cacheOptions;
}

const ASYNC_LISTS = ['imports', 'inject', 'extraProviders'] as const;
const ASYNC = ['isGlobal', 'useFactory', 'useClass', 'useExisting', ...ASYNC_LISTS];

/** @internal the options of `forRootAsync`: a misspelt one would be left out in silence, and what is no list fails inside Nest */
export function checkedAsync(options: CacheModuleAsyncOptions): CacheModuleAsyncOptions {
  checkKnown('CacheModule.forRootAsync', options, ASYNC);
  for (const name of ASYNC_LISTS)
    if (options[name] !== undefined && !Array.isArray(options[name]))
      throw new InvalidOptionsError(
        `CacheModule.forRootAsync: ${name}: expected a list, got ${describe(options[name])}.`,
      );
  return options;
}

/** @internal how the options come about */
export function asyncOptions({
  useFactory,
  useClass,
  useExisting,
  inject,
}: CacheModuleAsyncOptions): Provider[] {
  if (useFactory !== undefined && typeof useFactory !== 'function')
    throw new InvalidOptionsError(
      `CacheModule.forRootAsync: useFactory: expected a function, got ${describe(useFactory)}.`,
    );
  if ([useFactory, useClass, useExisting].filter((way) => way !== undefined).length !== 1)
    throw new InvalidOptionsError(
      'CacheModule.forRootAsync: give exactly one of useFactory, useClass and useExisting.',
    );
  if (useFactory) return [{ provide: CACHE_MODULE_OPTIONS, useFactory, inject: inject ?? [] }];
  const token = useClass ?? useExisting!;
  const create: Provider = {
    provide: CACHE_MODULE_OPTIONS,
    inject: [token],
    useFactory: (factory: CacheOptionsFactory) => optionsOf(factory),
  };
  return useClass ? [{ provide: useClass, useClass }, create] : [create];
}

function optionsOf(
  factory: CacheOptionsFactory,
): ReturnType<CacheOptionsFactory['createCacheOptions']> {
  if (typeof factory?.createCacheOptions !== 'function')
    throw new InvalidOptionsError(
      `CacheModule.forRootAsync: expected a class with the method createCacheOptions(), got ${describe(factory)}.`,
    );
  return factory.createCacheOptions();
}
