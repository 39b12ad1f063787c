/* oxlint-disable typescript/no-explicit-any -- what the types would refuse */
import { Injectable, mixin, Scope } from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { jest } from '@jest/globals';
import { Test } from '@nestjs/testing';
import {
  Cacheable,
  CacheConfig,
  CacheEvict,
  CacheModule,
  CachePut,
  Caching,
  CacheService,
  InjectCache,
  memoryStorage,
} from 'nestjs-scoped-cache';
import { createTestCache, mapStorage } from 'nestjs-scoped-cache/testing';
import { spyOnWarnings } from '../support/nest/warnings.js';

/** Typical mistakes, and what the messages must say: which option or class, what was expected, what to do. */

class User {}
@Injectable({ scope: Scope.REQUEST })
class PerRequest {}
const start = async (imports: any[], providers: any[] = []): Promise<void> => {
  const module = await Test.createTestingModule({ imports, providers }).compile();
  await (await module.init()).close();
};
const decorated = (decorator: MethodDecorator): any => {
  class Service {
    read(): number {
      return 1;
    }
  }
  const of = Object.getOwnPropertyDescriptor(Service.prototype, 'read')!;
  Object.defineProperty(Service.prototype, 'read', decorator(Service.prototype, 'read', of) ?? of);
  Injectable()(Service);
  return Service;
};

describe('mistakes in the options of the module', () => {
  it.each<[string, object, RegExp]>([
    ['a misspelt option', { tll: 5 }, /Unknown cache option "tll"\. Known: storage, scopes, ttl/],
    ['a loading option beside them', { grace: '1h' }, /"grace".*\{ loading: \{ grace: … \} \}/],
    ['a misspelt loading option', { loading: { gracee: 1 } }, /loading.*"gracee"\. Known: grace,/],
    ['minutes in words', { ttl: '5 minutes' }, /ttl: expected seconds.*'10m'.*got "5 minutes"/],
    [
      'a fraction over 1',
      { loading: { jitter: 2 } },
      /jitter: expected a number from 0 to 1.*got 2/,
    ],
    [
      'a storage that was not called',
      { storage: memoryStorage },
      /storage: expected memoryStorage\(\)/,
    ],
    ['nothing where true is meant', { enabled: null }, /enabled: expected true or false; got null/],
    ['no TTL', { ttl: null }, /ttl: expected seconds as a number.*got null/],
    [
      'a misspelt option of a level, which would be the default resolver',
      { scopes: [{ name: 'user', resolv: () => 1 }] },
      /scopes: level "user": unknown option "resolv"\. Known: name, resolve, children/,
    ],
    [
      'a hook that is none',
      { listener: { onHit: 'log' } },
      /listener: onHit: expected a function; got "log"/,
    ],
    ['the name of a storage', { storage: 'redis' }, /storage: expected.*got "redis"/],
    ['one level', { scopes: 'org' }, /scopes: expected a list of levels, got "org"/],
  ])('%s', (_, options, message) =>
    expect(start([CacheModule.forRoot(options)])).rejects.toThrow(message),
  );

  it.each<[string, object, RegExp]>([
    ['a misspelt option', { isGlobl: false }, /forRootAsync: unknown option "isGlobl"\. Known: is/],
    ['one token to inject', { inject: 'A' }, /forRootAsync: inject: expected a list, got "A"/],
    ['one module', { imports: {} }, /forRootAsync: imports: expected a list, got an object/],
    ['one provider', { extraProviders: {} }, /forRootAsync: extraProviders: expected a list/],
  ])('forRootAsync: %s', (_, options, message) =>
    expect(() => CacheModule.forRootAsync({ useFactory: () => ({}), ...options })).toThrow(message),
  );

  it.each<[string, any]>([
    ['the request', { inject: [REQUEST] }],
    ['what is made for each request', { inject: [PerRequest], extraProviders: [PerRequest] }],
  ])('P16 options that depend on %s', async (_, given) => {
    const open = jest.fn();
    const useFactory = () => ({ storage: { name: 'own', open } as never });
    await expect(start([CacheModule.forRootAsync({ ...given, useFactory })])).rejects.toThrow(
      /"inject" names REQUEST or a provider that Nest makes for each request.*"resolve"/,
    );
    expect(open).not.toHaveBeenCalled();
  });

  it.each<[object, RegExp]>([
    [{ max: 5 }, /memoryStorage: perScope\.org: unknown option "max"\. Known: maxEntries, maxB/],
    [{}, /perScope\.org: expected \{ maxEntries \}, \{ maxBytes \} or both/],
    [{ maxEntries: 0 }, /perScope\.org\.maxEntries must be a whole number from 1 up; got 0/],
  ])('memoryStorage: limits %j of a scope', (org, message) =>
    expect(() => memoryStorage({ perScope: { org } })).toThrow(message),
  );

  it('two classes without a name', async () => {
    const [one, other] = [decorated(Cacheable()), decorated(Cacheable())];
    for (const type of [one, other]) Object.defineProperty(type, 'name', { value: '' });
    await expect(start([CacheModule.forRoot()], [one, other])).rejects.toThrow(
      /Two different classes have no name and both cache .*@CacheConfig/,
    );
  });

  it('P4 a class made by mixin() is told to take a name, where the storage outlives its process', async () => {
    const warnings = spyOnWarnings();
    const unnamed = mixin(decorated(Cacheable()));
    const named = mixin(decorated(Cacheable({ name: 'named' })));
    await start([CacheModule.forRoot()], [unnamed]);
    expect(warnings.texts).toEqual([]);
    await start([CacheModule.forRoot({ storage: mapStorage() })], [unnamed, named]);
    expect(warnings.texts).toEqual([expect.stringMatching(/made by mixin\(\).*@CacheConfig/)]);
  });

  it('forRoot in two modules', () =>
    expect(start([CacheModule.forRoot(), CacheModule.forRoot()])).rejects.toThrow(
      /imported 2 times.*root module.*forFeature/,
    ));

  it.each<[string, () => any, RegExp]>([
    [
      'forFeature without options',
      () => (CacheModule as any).forFeature(),
      /forFeature: expected an object of options, got undefined/,
    ],
    [
      'forRootAsync without options',
      () => (CacheModule as any).forRootAsync(),
      /forRootAsync: expected an object of options, got undefined/,
    ],
    [
      'a factory that is none',
      () => CacheModule.forRootAsync({ useFactory: 5 as any }),
      /useFactory: expected a function, got 5/,
    ],
    [
      'a class that makes no options',
      () => CacheModule.forRootAsync({ useClass: User as any }),
      /class with the method createCacheOptions\(\), got an instance of User/,
    ],
  ])('%s', (_, write, message) =>
    expect((async () => start([CacheModule.forRoot(), write()]))()).rejects.toThrow(message),
  );

  it('the bare class', () =>
    expect(start([CacheModule])).rejects.toThrow(
      /import CacheModule\.forRoot\(\), not CacheModule/,
    ));

  it('a named cache that nobody made', () => {
    @Injectable()
    class Reports {
      constructor(@InjectCache('reports') readonly cache: CacheService) {}
    }
    return expect(start([CacheModule.forRoot()], [Reports])).rejects.toThrow(
      /import CacheModule\.forFeature\(\{ name: "reports" \}\) into this module/,
    );
  });
});

describe('mistakes in decorators', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['no parentheses', () => decorated(Cacheable as any), /@Cacheable is written with parentheses/],
    [
      'seconds alone',
      () => Cacheable(60 as any),
      /@Cacheable: expected an object of options, got 60/,
    ],
    [
      'a misspelt option',
      () => Cacheable({ tt: 5 } as any),
      /@Cacheable: unknown option "tt"\. Known/,
    ],
    [
      'an option of another one',
      () => CacheEvict({ ttl: 5 } as any),
      /@CacheEvict: unknown option "ttl"/,
    ],
    ['the class itself', () => Cacheable({ type: User as any }), /type: expected.*\(\) => User/],
    [
      'on a class',
      () => (CachePut() as any)(User),
      /@CachePut belongs on a method.*the class User/,
    ],
    ['on a property', () => (Cacheable() as any)({}, 'a'), /not on the property "a"/],
    [
      'a standard decorator, as TypeScript compiles them without experimentalDecorators',
      () => (Cacheable() as any)(() => 1, { kind: 'method', name: 'read' }),
      /@Cacheable is compiled as a standard decorator.*"experimentalDecorators": true/,
    ],
    [
      'CacheConfig on a method',
      () => (CacheConfig({ name: 'n' }) as any)(User.prototype, 'read', {}),
      /@CacheConfig belongs on a class/,
    ],
    [
      'a fraction over 1, also where no look-up would find it out',
      () => CachePut({ jitter: 5 }),
      /@CachePut: jitter: expected a number from 0 to 1, got 5/,
    ],
    [
      'more tags than an entry can have',
      () => CachePut({ tags: Array.from({ length: 61 }, (_, at) => `t${at}`) }),
      /@CachePut: tags: expected a list of at most 60 strings/,
    ],
    ['Caching without options', () => Caching(undefined as any), /@Caching: expected an object/],
    [
      'one operation where Caching has lists',
      () => Caching({ cacheable: {} as any }),
      /@Caching: cacheable: expected a list of options, got an object/,
    ],
    [
      'a misspelt list',
      () => Caching({ evicts: [{}] } as any),
      /@Caching: unknown option "evicts"\. Known: cacheable, put, evict/,
    ],
    [
      'CacheConfig without options',
      () => CacheConfig(User as any),
      /@CacheConfig: expected an object/,
    ],
  ])('%s', (_, write, message) => expect(write).toThrow(message));

  it('generators have no result to store', () => {
    const write = (): unknown => {
      class Rows {
        @Cacheable()
        *read(): Generator<number> {
          yield 1;
        }
      }
      return Rows;
    };
    expect(write).toThrow(/@Cacheable: read is a generator.*Return an array/);
  });

  it.each<[string, MethodDecorator, RegExp]>([
    [
      'a level that is no level',
      Cacheable({ scope: 'usr' }),
      /"usr".*has global, org, user, session/,
    ],
    ['ids of such a level', CacheEvict({ name: 'n', scope: { usr: 1 } }), /"usr".*has global/],
    ['ids without those above', Cacheable({ scope: { user: 1 } }), /Missing the org id/],
    ['a cache that nobody made', Cacheable({ cache: 'x' }), /no cache named "x".*forFeature/],
    ['no time at all', Cacheable({ hardTimeout: 0 }), /hardTimeout: expected a duration above 0/],
  ])('%s stops the application', (_, decorator, message) =>
    expect(start([CacheModule.forRoot()], [decorated(decorator)])).rejects.toThrow(message),
  );
});

describe('mistakes in calls', () => {
  it('P3 a view of a scope that was not found is refused, rather than one of everything', async () => {
    const cache = createTestCache();
    expect(() => cache.in(undefined as any)).toThrow(/in: expected a scope, got undefined/);
    expect(() => cache.asMap(null as any)).toThrow(/scope: expected "global".*got null/);
  });

  it.each([undefined, null, 'user', 'global'])(
    'P1 %p as the ids of a job does not leave the job with those of the request',
    (ids) => {
      const context = { idOf: () => 'of the request', lookedAt: () => '', run: jest.fn() };
      const cache = createTestCache({}, { context: context as never });
      expect(() => cache.runInScope(ids as any, () => 1)).toThrow(
        /runInScope: expected ids by level such as \{ org: 'o1' \}, got/,
      );
      expect(context.run).not.toHaveBeenCalled();
    },
  );

  it.each<[string, any, RegExp]>([
    ['a promise of values', Promise.resolve({ k: 1 }), /got an instance of Promise/],
    ['a date', new Date(), /got an instance of Date/],
  ])('setMany: %s is refused, and nothing is stored', async (_, values, message) => {
    const cache = createTestCache();
    await expect(cache.setMany(values)).rejects.toThrow(message);
    await expect(cache.setMany(values)).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
    expect(await cache.size()).toBe(0);
  });

  it('a flag that is no boolean is refused: words would count as their opposite', async () => {
    const cache = createTestCache();
    for (const call of [
      () => cache.set('k', 1, { sliding: 'no' } as any),
      () => cache.set('k', 1, { skipNear: 0 } as any),
      () => cache.merge('k', { a: 1 }, { mustExist: 'yes' } as any),
      () => cache.update('k', () => 1, { mustExist: 1 } as any),
      async () => {
        for await (const _ of cache.keys({ deep: 'no' } as any)) break;
      },
    ])
      await expect(call()).rejects.toThrow(/(sliding|skipNear|mustExist|deep): expected true or f/);
    expect(await cache.size()).toBe(0);
  });

  it('a TTL where options belong is refused, rather than stored with the default TTL', async () => {
    const cache = createTestCache();
    for (const call of [
      cache.set('k', 1, 60 as any),
      cache.get('k', 60 as any),
      cache.getOrSet('k', () => 1, '10m' as any),
      cache.set('k', 1, null as any),
    ])
      await expect(call).rejects.toThrow(/options: expected an object such as \{ ttl: 60 \}, got/);
    expect(await cache.has('k')).toBe(false);
  });

  it('tags that were not found evict and expire nothing, and not everything', async () => {
    const cache = createTestCache();
    await cache.set('k', 1, { tags: ['t'] });
    for (const given of [undefined, null, new Set(['t']), { t: true }, ['t', undefined]])
      for (const call of [cache.evictTags(given as any), cache.expireTags(given as any)])
        await expect(call).rejects.toMatchObject({ code: 'INVALID_KEY' });
    expect(await cache.has('k')).toBe(true);
  });

  it('a scope that was not found evicts nothing, and not everything', async () => {
    const cache = createTestCache();
    await cache.set('k', 1);
    for (const call of [cache.evictScope(undefined as any), cache.expireScope(undefined as any)])
      await expect(call).rejects.toThrow(
        /expected a scope, got undefined.*'global' to mean everything/,
      );
    expect(await cache.has('k')).toBe(true);
  });

  it.each<[string, unknown, RegExp]>([
    [
      'the class itself',
      User,
      /^type: expected a function such as \(\) => User, got the class User/,
    ],
    ['a name', 'User', /^type: expected a function.*got "User"/],
    ['a function that names none', () => 5, /^type: expected \(\) => TheClass/],
  ])('type: %s', async (_, type, message) => {
    const cache = createTestCache();
    await expect(cache.set('k', 1, { type } as never)).rejects.toThrow(message);
    await expect(cache.get('k', { type } as never)).rejects.toThrow(message);
    const old = function (): typeof User {
      return User;
    };
    await cache.set('k', new User(), { type: old });
    expect(await cache.get('k')).toBeInstanceOf(User);
  });

  it('a value where the work in a scope belongs', () =>
    expect(() => createTestCache().runInScope({ org: 'o' }, 5 as any)).toThrow(
      /runInScope: expected a function, got 5/,
    ));

  it('a part of a key that throws when it is read', async () => {
    const part = {
      get id(): number {
        throw new Error('not loaded yet');
      },
    };
    const refused = createTestCache().get([part]);
    await expect(refused).rejects.toThrow(/part of the key threw when it was read/);
    await expect(refused).rejects.toMatchObject({
      code: 'INVALID_KEY',
      cause: { message: 'not loaded yet' },
    });
  });

  it('P12 an argument that throws when it is read leaves the method running, uncached', async () => {
    @Injectable()
    class Users {
      @Cacheable()
      nameOf(user: { readonly name: string; readonly photo: never }): string {
        return user.name;
      }
    }
    const imports = [CacheModule.forRoot()];
    const module = await Test.createTestingModule({ imports, providers: [Users] }).compile();
    await module.init();
    const lazy = {
      name: 'Ada',
      get photo(): never {
        throw new Error('not loaded yet');
      },
    };
    expect(await module.get(Users).nameOf(lazy)).toBe('Ada');
    await module.close();
  });

  it('a value where a loader belongs', () =>
    expect(createTestCache().getOrSet('k', 5 as any)).rejects.toThrow(
      /getOrSet: the loader: expected a function, got 5/,
    ));

  it('a bulk loader that returns too little is told why', () =>
    expect(createTestCache().getOrSetMany(['p', 'q'], () => [1])).rejects.toThrow(
      /Loading 2 of 2 keys failed.*"p" \(getOrSetMany: .*for each of its 2 keys.*an array of 1\)/,
    ));
});
