import { createRequire } from 'node:module';
/* oxlint-disable typescript/no-explicit-any -- frameworks' requests and parsed answers */
import { jest } from '@jest/globals';
import { Controller, Get, Injectable, Logger, Module, Scope } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  CACHE_PLATFORM,
  Cacheable,
  CacheModule,
  CacheRegistry,
  CacheService,
  InjectCache,
  memoryStorage,
  type CacheModuleOptions,
  type CacheOptionsFactory,
} from 'nestjs-scoped-cache';
import { manualPlatform } from '../support/nest/manual-platform.js';
import { startApp } from '../support/nest/start-app.js';

@Injectable()
class Reader {
  runs = 0;
  @Cacheable({ ttl: 10 })
  read(): number {
    return ++this.runs;
  }
  @Cacheable({ cache: 'reports' })
  report(): number {
    return ++this.runs;
  }
}

@Injectable()
class Reports {
  constructor(@InjectCache('reports') readonly cache: CacheService) {}
}

const start = async (imports: any[], providers: any[] = []) => {
  const module = await Test.createTestingModule({ imports, providers }).compile();
  return module.init();
};

const nestMajor = Number(
  (
    createRequire(import.meta.url)('@nestjs/core/package.json') as { version: string }
  ).version.split('.')[0],
);

describe('CacheModule', () => {
  it('is global by default and works without options', async () => {
    @Module({ providers: [Reader], exports: [Reader] })
    class Feature {}
    const app = await start([
      CacheModule.forRoot(),
      Feature,
      CacheModule.forFeature({ name: 'reports' }),
    ]);
    expect([await app.get(Reader).read(), await app.get(Reader).read()]).toEqual([1, 1]);
    await app.close();
  });

  it('pain point 30: without the module, Nest says what to import', async () => {
    await expect(start([], [Reader])).rejects.toThrow(
      /import CacheModule\.forRoot\(\) into the root module/,
    );
  });

  it('isGlobal: false keeps it to those who import it', async () => {
    @Module({ providers: [Reader] })
    class Feature {}
    await expect(start([CacheModule.forRoot({ isGlobal: false }), Feature])).rejects.toThrow(
      /isGlobal: false/,
    );
  });

  it.each([Scope.DEFAULT, Scope.REQUEST])(
    'modules with a cache of their own each have their levels and named caches, injection scope %i',
    async (scope) => {
      const ofOne = CacheModule.forRoot({ isGlobal: false, namespace: 'one', scopes: ['tenant'] });
      const named = CacheModule.forFeature({ name: 'named', imports: [ofOne] });
      const ofOther = CacheModule.forRoot({ isGlobal: false, namespace: 'other' });

      @Injectable({ scope })
      class One {
        @Cacheable({ scope: { tenant: 't' } }) read(): string {
          return 'one';
        }
        @Cacheable({ scope: { tenant: 't' }, cache: 'named' }) readNamed(): string {
          return 'named';
        }
      }
      @Injectable({ scope })
      class Other {
        @Cacheable({ scope: { org: 'o' } }) read(): string {
          return 'other';
        }
      }
      @Module({ imports: [ofOne, named], providers: [One] })
      class ModuleOne {}
      @Module({ imports: [ofOther], providers: [Other] })
      class ModuleOther {}

      const app = await start([ModuleOne, ModuleOther]);
      const one = await app.resolve(One, undefined, { strict: false });
      const other = await app.resolve(Other, undefined, { strict: false });
      expect([await one.read(), await one.readNamed()]).toEqual(['one', 'named']);
      expect(await other.read()).toBe('other');
      await app.close();
    },
  );

  it.each([
    [
      'useFactory',
      (options: CacheModuleOptions) => ({
        inject: ['namespace'],
        useFactory: (namespace: string) => ({ ...options, namespace }),
      }),
    ],
    ['useClass', () => ({ useClass: OptionsFactory })],
    ['useExisting', () => ({ useExisting: OptionsFactory })],
  ])('forRootAsync takes %s', async (_way, how) => {
    @Module({
      providers: [{ provide: 'namespace', useValue: 'mine' }, OptionsFactory],
      exports: ['namespace', OptionsFactory],
    })
    class Config {}
    const app = await start([CacheModule.forRootAsync({ imports: [Config], ...how({}) })]);
    expect(app.get(CacheService).namespace).toBe('mine');
    await app.close();
  });

  it('forRootAsync takes extraProviders, and exactly one way', async () => {
    const app = await start([
      CacheModule.forRootAsync({
        extraProviders: [{ provide: 'extra', useValue: 'extra' }],
        inject: ['extra'],
        useFactory: async (namespace: string) => ({ namespace }),
      }),
    ]);
    expect(app.get(CacheService).namespace).toBe('extra');
    await app.close();
    expect(() => CacheModule.forRootAsync({})).toThrow(
      /exactly one of useFactory, useClass and useExisting/,
    );
  });

  it('pain point 29: isGlobal from the factory is accepted when it agrees and diagnosed when it does not', async () => {
    const app = await start([CacheModule.forRootAsync({ useFactory: () => ({ isGlobal: true }) })]);
    await app.close();
    await expect(
      start([CacheModule.forRootAsync({ useFactory: () => ({ isGlobal: false }) })]),
    ).rejects.toThrow(
      /isGlobal: the options factory returned false.*forRootAsync\(\{ isGlobal: false/,
    );
  });

  it.each([
    [{ ttl: -1 }, /ttl: expected seconds/],
    [{ tll: 1 }, /Unknown cache option "tll"/],
    [{ namespace: '' }, /namespace: expected a string/],
    [{ scopes: ['global'] }, /"global" is the root/],
    [{ shutdownTimeout: 'soon' }, /shutdownTimeout/],
    [{ isGlobal: 'yes' }, /isGlobal: expected true or false/],
  ])('wrong options %j stop the application, by name', async (options, message) => {
    await expect((async () => start([CacheModule.forRoot(options as never)]))()).rejects.toThrow(
      message,
    );
  });

  it('pain point 18: named caches have options and entries of their own, and inherit the rest', async () => {
    const app = await start(
      [
        CacheModule.forRoot({ namespace: 'app', scopes: ['tenant'] }),
        CacheModule.forFeature({ name: 'reports', ttl: '1h' }),
      ],
      [Reader, Reports],
    );
    const reports = app.get(Reports).cache;
    expect(reports).toBe(app.get(CacheRegistry).get('reports'));
    expect([reports.namespace, reports.name, reports.scopes.names]).toEqual([
      'app/reports',
      'reports',
      ['tenant'],
    ]);
    await app.get(Reader).report();
    expect([await reports.size(), await app.get(CacheService).size()]).toEqual([1, 0]);
    expect(app.get(CacheRegistry).names).toEqual(['reports']);
    await app.close();
  });

  it('P14: derived namespaces are injective', async () => {
    const namespaces = [];
    for (const [root, name] of [
      ['a/b', 'c'],
      ['a', 'b/c'],
      ['a%2Fb', 'c'],
      ['a', 'b%2Fc'],
    ] as const) {
      const app = await start([
        CacheModule.forRoot({ namespace: root }),
        CacheModule.forFeature({ name }),
      ]);
      namespaces.push(app.get(CacheRegistry).get(name).namespace, app.get(CacheService).namespace);
      await app.close();
    }
    expect(new Set(namespaces).size).toBe(7); // the root "a" occurs twice
  });

  it('two named caches of one name or one namespace are an error', async () => {
    const named = CacheModule.forFeature({ name: 'x' });
    await expect(
      start([CacheModule.forRoot(), named, CacheModule.forFeature({ name: 'x' })]),
    ).rejects.toThrow(/two caches named "x"/);
    await expect(
      start([CacheModule.forRoot(), CacheModule.forFeature({ name: 'y', namespace: 'cache' })]),
    ).rejects.toThrow(/both have the namespace "cache"/);
  });

  it('two applications in one process share nothing, not even a storage object', async () => {
    const storage = memoryStorage();
    const feature = () => CacheModule.forFeature({ name: 'reports' });
    const one = await start([CacheModule.forRoot({ storage }), feature()], [Reader]);
    const two = await start([CacheModule.forRoot({ storage }), feature()], [Reader]);
    await one.get(Reader).read();
    await two.get(Reader).read();
    expect([one.get(Reader).runs, two.get(Reader).runs]).toEqual([1, 1]);
    const scoped = one
      .get(CacheService)
      .runInScope({ org: 'o1' }, () => two.get(CacheService).get('k', { scope: 'org' }));
    await expect(scoped).rejects.toMatchObject({ code: 'MISSING_SCOPE' });
    await one.get(CacheService).clear();
    expect(await two.get(CacheService).size()).toBe(1);
    await one.close();
    expect(await two.get(Reader).read()).toBe(1);
    await two.close();
  });

  it('tests may put a clock of their own in CACHE_PLATFORM', async () => {
    const platform = manualPlatform();
    const module = await Test.createTestingModule({
      imports: [CacheModule.forRoot(), CacheModule.forFeature({ name: 'reports' })],
      providers: [Reader],
    })
      .overrideProvider(CACHE_PLATFORM)
      .useValue(platform)
      .compile();
    const app = await module.init();
    await app.get(Reader).read();
    platform.clock.advance(9_999);
    expect(await app.get(Reader).read()).toBe(1);
    platform.clock.advance(1);
    expect(await app.get(Reader).read()).toBe(2);
    await app.close();
  });

  it('CA-23 CA-24: levels may have resolvers, and trees stand side by side', async () => {
    const app = await start([
      CacheModule.forRoot({
        scopes: [
          { name: 'organization', resolve: ({ user }) => user?.org, children: ['user'] },
          { name: 'tenant', resolve: () => 't1', children: ['project'] },
        ],
      }),
    ]);
    const cache = app.get(CacheService);
    await cache.set('k', 'tenant', { scope: 'tenant' });
    await cache.set('k', 'organization', { scope: { organization: 't1' } });
    expect(await cache.get('k', { scope: { tenant: 't1' } })).toBe('tenant');
    await expect(cache.get('k', { scope: 'organization' })).rejects.toThrow(
      /the resolver of level "organization"/,
    );
    await app.close();
  });

  it('P1: ids given to runInScope are never completed by those of the request', async () => {
    @Controller()
    class Mixing {
      constructor(readonly cache: CacheService) {}
      @Get() read(): Promise<unknown> {
        return this.cache
          .runInScope({ org: 'o2' }, () =>
            this.cache.get('secret', { scope: 'user', default: 'none' }),
          )
          .catch((error: unknown) => (error as Error).message);
      }
    }
    const app = await startApp('express', { controllers: [Mixing] });
    await app.cache.set('secret', 's', { scope: { org: 'o2', user: 'ann' } });
    const { body } = await app.get('/', { id: 'ann', orgId: 'o1' });
    expect(body).toMatch(/Missing the user id.*the ids of runInScope/);
    await app.close();
  });
});

describe('shutdown', () => {
  beforeEach(() => {
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
  });

  const closable = (close: () => Promise<void>) => {
    const memory = memoryStorage();
    return {
      name: 'closable',
      open: (host: any) => {
        const storage = (memory as any).open(host);
        return new Proxy(storage, {
          get: (target, name) => {
            if (name === 'close') return async () => (await close(), target.close());
            const value = Reflect.get(target, name, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
      },
    } as never;
  };

  it('P17: every cache is closed once, after the server has stopped', async () => {
    const order: string[] = [];
    @Injectable()
    class Last {
      constructor(readonly cache: CacheService) {}
      async onModuleDestroy(): Promise<void> {
        await this.cache.set('still', 'open');
        order.push('destroyed');
      }
    }
    const app = await start(
      [
        CacheModule.forRoot({ storage: closable(async () => void order.push('closed')) }),
        CacheModule.forFeature({ name: 'x' }),
      ],
      [Last],
    );
    await app.close();
    await app.close();
    expect(order).toEqual(['destroyed', 'closed', 'closed', 'destroyed']);
  });

  it('P17: shutdownTimeout 0 does not wait, and is not an error either', async () => {
    const error = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const app = await start([
      CacheModule.forRoot({
        storage: closable(() => new Promise(() => undefined)),
        shutdownTimeout: 0,
      }),
    ]);
    await app.close();
    expect(error).not.toHaveBeenCalled();
    error.mockRestore();
  });

  it('P17: a storage that hangs holds shutdown up no longer than shutdownTimeout', async () => {
    const app = await start([
      CacheModule.forRoot({
        storage: closable(() => new Promise(() => undefined)),
        shutdownTimeout: '20ms',
      }),
    ]);
    const started = Date.now();
    await app.close();
    expect(Date.now() - started).toBeLessThan(1_000);
  });

  it('P17: an application that failed to start leaves nothing running', async () => {
    let closed = 0;
    @Injectable()
    class Failing {
      onModuleInit(): void {
        throw new Error('cannot start');
      }
    }
    const module = await Test.createTestingModule({
      imports: [CacheModule.forRoot({ storage: closable(async () => void closed++) })],
      providers: [Failing],
    }).compile();
    await expect(module.init()).rejects.toThrow('cannot start');
    if (nestMajor >= 12) await module.close();
    // Nest 11 calls no hook of an application that failed to start, and says again why it failed.
    else await expect(module.close()).rejects.toThrow('cannot start');
    expect(closed).toBe(nestMajor >= 12 ? 1 : 0);
  });
});

@Injectable()
class OptionsFactory implements CacheOptionsFactory {
  createCacheOptions(): CacheModuleOptions {
    return { namespace: 'mine' };
  }
}
