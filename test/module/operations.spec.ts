/* oxlint-disable typescript/no-explicit-any -- decorated methods are asynchronous, whatever they are declared as */
import {
  Controller,
  ForbiddenException,
  Get,
  HttpException,
  Injectable,
  MessageEvent,
  NotFoundException,
  ServiceUnavailableException,
  Sse,
  type INestApplicationContext,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { NEVER, type Observable } from 'rxjs';
import {
  Cacheable,
  CacheConfig,
  CacheEvict,
  CacheModule,
  CachePut,
  CacheService,
  Caching,
  CACHE_PLATFORM,
  decoratedKey,
  maxItems,
  type CacheModuleOptions,
  type KeyGenerator,
} from 'nestjs-scoped-cache';
import { manualPlatform } from '../support/nest/manual-platform.js';
import { spyOnWarnings } from '../support/nest/warnings.js';

class FirstArgument implements KeyGenerator {
  generate({ args }: { args: readonly any[] }): any {
    return args[0];
  }
}

@Injectable()
class Service {
  calls = 0;
  failing: boolean | Error = false;

  @Cacheable({
    name: 'item',
    key: '{args.0}',
    tags: ({ result }) => [`kind:${(result as any).kind}`],
    ttl: ({ result }) => (result as any).ttl ?? 60,
  })
  item(id: number, ttl?: number): any {
    return { id, kind: id % 2 ? 'odd' : 'even', call: ++this.calls, ttl };
  }
  @CachePut({
    name: 'item',
    key: '{result.id}',
    unless: ({ result }) => (result as any).skip,
    condition: ({ args: [, ok] }) => ok !== false,
  })
  save(value: any, _ok = true): any {
    return value;
  }
  @CacheEvict({ tags: ['kind:odd'] })
  removeOdd(): void {}

  @Cacheable({ name: ['one', 'two'], key: '{args.0}' })
  both(id: number): number {
    return ++this.calls * 100 + id;
  }
  @CacheEvict({ name: ['one', 'two'], key: '{args.0}' })
  evictBoth(_id: number): void {}
  @CacheEvict({ name: 'one', key: '{args.0}' })
  evictOne(_id: number): void {}

  @Caching({
    cacheable: [{ name: 'put-or-not', key: 'k', condition: ({ args: [id] }) => id !== 3 }],
    put: [{ name: 'put-or-not', key: 'k', condition: ({ args: [id] }) => id === 3 }],
  })
  exclusive(id: number): number {
    return ++this.calls * 10 + id;
  }

  @CachePut({ name: 'item', key: ({ result }) => (result as any).id })
  @CacheEvict({ name: 'one', allEntries: true })
  @Cacheable({ name: 'repeated', key: '{args.0}' })
  repeated(id: number): any {
    return { id, call: ++this.calls };
  }

  @Cacheable({ keyGenerator: FirstArgument })
  generated(_id: number, _noise: unknown): number {
    return ++this.calls;
  }

  @Cacheable({ name: 'stale', ttl: 10, grace: 60, graceThrottle: 0 })
  async stale(): Promise<number> {
    this.calls++;
    if (this.failing) throw this.failing === true ? new Error('source is down') : this.failing;
    return this.calls;
  }

  @Cacheable({ hardTimeout: '1s' })
  never(): Observable<number> {
    return NEVER;
  }

  @Cacheable({ ttl: 0 })
  notKept(): number {
    return ++this.calls;
  }

  @Cacheable({ sliding: true, ttl: 10 })
  sliding(): number {
    return ++this.calls;
  }

  @CacheEvict({ scope: 'org', allEntries: true })
  evictOrg(): void {}

  @Cacheable({ scope: 'org' })
  ofOrg(): number {
    return ++this.calls;
  }

  @CacheEvict({ name: 'item', scope: 'user', key: '{args.0}' })
  evictForNobody(_id: number): string {
    return 'done';
  }
}

@CacheConfig({ name: 'base', ttl: 10, scope: 'org' })
class Base {
  calls = 0;
  @Cacheable()
  read(_id: number): number {
    return ++this.calls;
  }
}
@Injectable()
@CacheConfig({ name: 'derived' })
class Derived extends Base {}

@Injectable()
@CacheConfig({ name: ['left', 'right'] })
class OfTwoNames {
  calls = 0;
  @Cacheable({ key: '{args.0}' })
  read(_id: number): any {
    return ++this.calls;
  }
  @CachePut({ key: '{args.0}' })
  write(_id: number, value: string): any {
    return value;
  }
  @CacheEvict({ key: '{args.0}' })
  remove(_id: number): void {}
  @CacheEvict({ allEntries: true })
  removeAll(): void {}
}

describe('operations', () => {
  const warnings = spyOnWarnings();
  const platform = manualPlatform();
  let app: INestApplicationContext;
  let service: Service;
  let cache: CacheService;

  const start = async (
    options?: CacheModuleOptions,
    providers: any[] = [],
    controllers: any[] = [],
  ) => {
    const module = await Test.createTestingModule({
      imports: [CacheModule.forRoot(options)],
      providers: [Service, Derived, OfTwoNames, FirstArgument, ...providers],
      controllers,
    })
      .overrideProvider(CACHE_PLATFORM)
      .useValue(platform)
      .compile();
    return module.init();
  };

  beforeEach(async () => {
    warnings.clear();
    app = await start();
    service = app.get(Service);
    cache = app.get(CacheService);
  });
  afterEach(() => app.close());

  it('tags and ttl may come from the result', async () => {
    await service.item(1);
    await service.item(2);
    await service.removeOdd();
    expect([(await service.item(1)).call, (await service.item(2)).call]).toEqual([3, 2]);
    await service.item(4, 5);
    platform.clock.advance(5_000);
    expect((await service.item(4, 5)).call).toBe(5);
  });

  it('CachePut: condition and unless decide with the result, the key comes last', async () => {
    await service.save({ id: 7, kind: 'put' });
    expect((await service.item(7)).kind).toBe('put');
    await service.save({ id: 8, skip: true });
    await service.save({ id: 9 }, false);
    expect([(await service.item(8)).call, (await service.item(9)).call]).toEqual([1, 2]);
  });

  it('a put runs the method each time, and stores for the look-ups beside it only when its condition holds', async () => {
    expect([await service.exclusive(1), await service.exclusive(1)]).toEqual([11, 11]);
    expect(await service.exclusive(3)).toBe(23);
    expect(await service.exclusive(1)).toBe(23);
  });

  it('several names keep a copy each: any hit serves, and a refilled one agrees', async () => {
    const first = await service.both(1);
    await service.evictOne(1);
    expect(await service.both(1)).toBe(first);
    await service.evictBoth(1);
    expect(await service.both(1)).not.toBe(first);
  });

  it('several names that the class gives are as many copies for look-ups, puts and evictions', async () => {
    const named = app.get(OfTwoNames);
    const copies = () => cache.getMany([decoratedKey('left', 1), decoratedKey('right', 1)]);
    expect([await named.read(1), await named.read(1), await copies()]).toEqual([1, 1, [1, 1]]);
    await named.write(1, 'put');
    expect([await named.read(1), await copies()]).toEqual(['put', ['put', 'put']]);
    await named.remove(1);
    expect([await copies(), await named.read(1)]).toEqual([[undefined, undefined], 2]);
    await named.removeAll();
    expect([await copies(), await named.read(1)]).toEqual([[undefined, undefined], 3]);
  });

  it('200 concurrent calls under several names run the method once and end', async () => {
    const results = await Promise.all(Array.from({ length: 200 }, () => service.both(5)));
    expect([new Set(results).size, service.calls]).toEqual([1, 1]);
    expect(cache.loadsUnderWay).toBe(0);
  });

  it('repeated decorators all count', async () => {
    await service.both(1);
    expect(await service.repeated(1)).toEqual({ id: 1, call: 2 });
    expect(await cache.get(decoratedKey('item', 1))).toEqual({ id: 1, call: 2 });
    expect(await cache.get(decoratedKey('repeated', 1))).toEqual({ id: 1, call: 2 });
    expect(await cache.get(decoratedKey('one', 1))).toBeUndefined();
  });

  it('key generators are found by their token', async () => {
    expect([
      await service.generated(1, () => 1),
      await service.generated(1, 2),
      await service.generated(2, 2),
    ]).toEqual([1, 1, 2]);
  });

  it('pain point 31: grace serves the old value when the method fails', async () => {
    expect(await service.stale()).toBe(1);
    platform.clock.advance(10_000);
    service.failing = true;
    expect(await service.stale()).toBe(1);
    platform.clock.advance(60_000);
    await expect(service.stale()).rejects.toThrow('source is down');
  });

  it.each([
    [new NotFoundException(), false],
    [new ForbiddenException(), false],
    [new ServiceUnavailableException(), true],
    [new HttpException('busy', 429), true],
  ])('%s hides behind a stale value only if it tells of an outage', async (error, isHidden) => {
    await service.stale();
    platform.clock.advance(10_000);
    service.failing = error;
    if (isHidden) expect(await service.stale()).toBe(1);
    else await expect(service.stale() as unknown).rejects.toBe(error);
  });

  it('a method that never completes is given up after hardTimeout', async () => {
    const outcome = expect(service.never() as unknown).rejects.toMatchObject({
      code: 'LOAD_TIMEOUT',
    });
    await platform.clock.advanceAsync(1_000);
    await outcome;
  });

  it('P7: ttl is exact, 0 keeps nothing, and sliding renews', async () => {
    expect([await service.notKept(), await service.notKept()]).toEqual([1, 2]);
    const first = await service.sliding();
    platform.clock.advance(9_999);
    expect(await service.sliding()).toBe(first);
    platform.clock.advance(9_999);
    expect(await service.sliding()).toBe(first);
    platform.clock.advance(10_000);
    expect(await service.sliding()).not.toBe(first);
  });

  it('CacheConfig is inherited and overridden one by one', async () => {
    const derived = app.get(Derived);
    const read = (org: string) => cache.runInScope({ org }, () => derived.read(1));
    expect([await read('o1'), await read('o1'), await read('o2')]).toEqual([1, 1, 2]);
    expect(await cache.get(decoratedKey('derived', 1), { scope: { org: 'o1' } })).toBe(1);
    platform.clock.advance(10_000);
    expect(await read('o1')).toBe(3);
  });

  it('CA-25: org-scoped entries are found without a user, and evicting the org evicts its users', async () => {
    const asUser = cache.runInScope({ org: 'o1', user: 'u1' }, () => service.ofOrg());
    expect([await asUser, await cache.runInScope({ org: 'o1' }, () => service.ofOrg())]).toEqual([
      1, 1,
    ]);
    await cache.set('mine', 1, { scope: { org: 'o1', user: 'u1' } });
    await cache.set('theirs', 1, { scope: { org: 'o12', user: 'u1' } });
    await cache.runInScope({ org: 'o1' }, () => service.evictOrg());
    expect([
      await cache.size({ scope: { org: 'o1' } }),
      await cache.size({ scope: { org: 'o12' } }),
    ]).toEqual([0, 1]);
  });

  it('P3: evicting without an id runs the method and says that nothing was evicted', async () => {
    expect(await service.evictForNobody(1)).toBe('done');
    expect(warnings.texts).toEqual([
      expect.stringMatching(/Service\.evictForNobody: NOTHING WAS EVICTED.*org id/),
    ]);
  });

  it('CA-41: maxItems limits what methods keep', async () => {
    const limited = await start({ rules: [maxItems({ max: 3 })] });
    const limitedService = limited.get(Service);
    for (let id = 0; id < 10; id++) await limitedService.item(id);
    expect(await limited.get(CacheService).size()).toBe(3);
    await limited.close();
  });

  it('enabled: false runs every method and stores nothing', async () => {
    const off = await start({ enabled: false });
    expect([(await off.get(Service).item(1)).call, (await off.get(Service).item(1)).call]).toEqual([
      1, 2,
    ]);
    expect(warnings.texts).toEqual([]);
    await off.close();
  });

  it('handlers whose results never complete are an error at start-up', async () => {
    @Controller()
    class Endless {
      @Sse() @Cacheable() events(): Observable<MessageEvent> {
        return NEVER;
      }
    }
    await expect(start(undefined, [], [Endless])).rejects.toThrow(/Endless\.events has @Sse\(\)/);
  });

  it('an eviction that names nothing is an error at start-up', async () => {
    @Injectable()
    class Nameless {
      @CacheEvict() change(): void {}
    }
    await expect(start(undefined, [Nameless])).rejects.toThrow(
      /@CacheEvict on Nameless\.change: name what to evict/,
    );
  });

  it('P16: nothing is left under way when idle', async () => {
    await Promise.allSettled([service.item(1), service.stale(), service.both(2)]);
    expect(cache.loadsUnderWay).toBe(0);
  });

  it('routes may be methods of one name in one class only by their paths', async () => {
    @Controller('c')
    @CacheConfig({ name: 'c', scope: 'global' })
    class Routes {
      @Get() @Cacheable() all(): void {}
      @Get(':id') @Cacheable() one(): void {}
    }
    const other = await start(undefined, [], [Routes]);
    await other.close();
  });
});
