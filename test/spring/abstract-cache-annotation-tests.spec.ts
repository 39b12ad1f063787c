/* oxlint-disable typescript/no-explicit-any -- one table drives services whose decorators differ */
import { Injectable, type Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  Cacheable,
  CacheConfig,
  CacheEvict,
  CacheModule,
  CachePut,
  CacheService,
  Caching,
  decoratedKey,
  getCacheToken,
  type CallContext,
  type KeyGenerator,
} from 'nestjs-scoped-cache';

/** The cases of Spring's AbstractCacheAnnotationTests in our terms; see docs/spring.md. */

interface Entity {
  id: number | undefined;
}
const first = ({ args: [argument] }: CallContext): unknown => argument;

@Injectable()
class SomeKeyGenerator implements KeyGenerator {
  generate({ args }: CallContext): string {
    return `generated ${String(args[0])}`;
  }
}

/** Each decorator names its cache and key. */
@Injectable()
class MethodLevel {
  counter = 0;
  nulls = 0;

  @Cacheable({ name: 'testCache', key: first })
  cache(_arg: unknown): any {
    return ++this.counter;
  }

  @Cacheable({ name: 'testCache', key: first })
  cacheNull(_arg: unknown): any {
    this.nulls++;
    return null;
  }

  @CacheEvict({ name: 'testCache', key: first })
  evict(_arg: unknown, _other?: unknown): void {}

  @CacheEvict({ name: 'testCache', key: first })
  evictWithException(_arg: unknown): void {
    throw new RangeError('evict should not occur');
  }

  @CacheEvict({ name: 'testCache', key: first, beforeInvocation: true })
  evictEarly(_arg: unknown): void {
    throw new RangeError('evict should still occur');
  }

  @CacheEvict({ name: 'testCache', allEntries: true })
  evictAll(): void {}

  @CacheEvict({ name: 'testCache', allEntries: true, beforeInvocation: true })
  evictAllEarly(): void {
    throw new RangeError('evict should still occur');
  }

  @Cacheable({ name: 'testCache', key: first, condition: ({ args: [field] }) => field === 3 })
  conditional(_field: number): any {
    return ++this.counter;
  }

  @Cacheable({ name: 'testCache', key: first, unless: ({ result }) => result > 10 })
  unless(arg: number): any {
    return arg;
  }

  @Cacheable({ name: 'testCache', key: '{args.0}' })
  key(_one: unknown, _other: unknown): any {
    return ++this.counter;
  }

  @Cacheable({ name: 'testCache', key: ({ args }) => args })
  varArgsKey(..._args: unknown[]): any {
    return ++this.counter;
  }

  @Cacheable({ name: 'testCache', key: 'name' })
  named(_arg: unknown): any {
    return ++this.counter;
  }

  @Cacheable({ name: 'testCache', key: ({ target }) => target.constructor.name })
  rootVars(_arg: unknown): any {
    return ++this.counter;
  }

  @Cacheable({ name: 'testCache', keyGenerator: SomeKeyGenerator })
  customKeyGenerator(_arg: unknown): any {
    return ++this.counter;
  }

  @Cacheable({ name: 'testCache', cache: 'custom', key: first })
  customCache(_arg: unknown): any {
    return ++this.counter;
  }

  @CachePut({ name: 'testCache', key: first })
  update(_arg: unknown): any {
    return ++this.counter;
  }

  @CachePut({ name: 'testCache', key: first, condition: ({ args: [arg] }) => arg === 3 })
  conditionalUpdate(arg: unknown): any {
    return arg;
  }

  @Cacheable({ name: 'testCache', key: first })
  async throwAsync(arg: unknown): Promise<any> {
    throw new SyntaxError(String(arg));
  }

  @Cacheable({ name: 'testCache', key: first })
  throwSync(arg: unknown): any {
    throw new TypeError(String(arg));
  }

  @Caching({
    cacheable: [
      { name: 'primary', key: first },
      { name: 'secondary', key: first },
    ],
  })
  multiCache(_arg: unknown): any {
    return ++this.counter;
  }

  @Caching({
    evict: [
      { name: 'primary', key: first },
      { name: 'secondary', key: first },
      { name: 'primary', key: ({ args: [arg] }) => `${arg}A` },
    ],
  })
  multiEvict(_arg: unknown): any {
    return ++this.counter;
  }

  @Caching({
    put: [
      { name: 'primary', key: first },
      { name: 'secondary', key: first },
    ],
  })
  multiUpdate(arg: unknown): any {
    return arg;
  }

  @Caching({
    cacheable: [{ name: 'primary', key: 'multiCacheAndEvict' }],
    evict: [{ name: 'secondary', key: first }],
  })
  multiCacheAndEvict(_arg: unknown): any {
    return ++this.counter;
  }

  @Caching({
    cacheable: [{ name: 'primary', key: first, condition: ({ args: [arg] }) => arg === 3 }],
    evict: [{ name: 'secondary', key: first }],
  })
  multiConditionalCacheAndEvict(_arg: unknown): any {
    return ++this.counter;
  }

  @CachePut({ name: 'primary', key: ({ result }) => result.id })
  putRefersToResult(entity: Entity): any {
    entity.id = -1;
    return entity;
  }

  @CachePut({
    name: 'primary',
    unless: ({ result }) => result === null,
    key: ({ result }) => result.id,
  })
  putEvaluatesUnlessBeforeKey(entity: Entity): any {
    return entity.id === -1 ? null : entity;
  }
}

/** The class says cache and key; its methods only what they do differently. */
@Injectable()
class FirstArgument implements KeyGenerator {
  generate({ args }: CallContext): any {
    return args[0];
  }
}

@Injectable()
@CacheConfig({ name: 'testCache', keyGenerator: FirstArgument })
class ClassLevel extends MethodLevel {
  @Cacheable()
  override cache(_arg: unknown): any {
    return ++this.counter;
  }

  @Cacheable()
  override cacheNull(_arg: unknown): any {
    this.nulls++;
    return null;
  }

  @CacheEvict()
  override evict(_arg: unknown, _other?: unknown): void {}

  @CacheEvict()
  override evictWithException(_arg: unknown): void {
    throw new RangeError('evict should not occur');
  }

  @CacheEvict({ beforeInvocation: true })
  override evictEarly(_arg: unknown): void {
    throw new RangeError('evict should still occur');
  }

  @CacheEvict({ allEntries: true })
  override evictAll(): void {}

  @CacheEvict({ allEntries: true, beforeInvocation: true })
  override evictAllEarly(): void {
    throw new RangeError('evict should still occur');
  }

  @Cacheable({ unless: ({ result }) => result > 10 })
  override unless(arg: number): any {
    return arg;
  }

  @CachePut()
  override update(_arg: unknown): any {
    return ++this.counter;
  }

  @Cacheable()
  override async throwAsync(arg: unknown): Promise<any> {
    throw new SyntaxError(String(arg));
  }

  @Cacheable()
  override throwSync(arg: unknown): any {
    throw new TypeError(String(arg));
  }

  @Caching({ cacheable: [{ name: 'primary' }, { name: 'secondary' }] })
  override multiCache(_arg: unknown): any {
    return ++this.counter;
  }

  @Caching({ put: [{ name: 'primary' }, { name: 'secondary' }] })
  override multiUpdate(arg: unknown): any {
    return arg;
  }
}

const LEVELS: readonly (readonly [string, Type<MethodLevel>, (test: string) => string])[] = [
  ['method level', MethodLevel, (test) => `AbstractCacheAnnotationTests.test${test}`],
  ['class level', ClassLevel, (test) => `AbstractCacheAnnotationTests.testClass${test}`],
];

describe.each(LEVELS)('AbstractCacheAnnotationTests, %s', (_level, type, named) => {
  let service: MethodLevel;
  let cache: CacheService;
  let custom: CacheService;
  let close: () => Promise<void>;

  beforeEach(async () => {
    const module = await Test.createTestingModule({
      imports: [CacheModule.forRoot(), CacheModule.forFeature({ name: 'custom' })],
      providers: [type, SomeKeyGenerator, FirstArgument],
    }).compile();
    await module.init();
    service = module.get(type);
    cache = module.get(CacheService);
    custom = module.get(getCacheToken('custom'));
    close = () => module.close();
  });
  afterEach(() => close());

  const entry = (name: string, ...parts: unknown[]) => cache.lookup(decoratedKey(name, ...parts));
  const has = (name: string, ...parts: unknown[]) => cache.has(decoratedKey(name, ...parts));
  const put = (name: string, value: unknown) => cache.set(decoratedKey(name, value), value);

  it(`${named('Cacheable')}: equal arguments, one run`, async () => {
    const value = await service.cache('a');
    expect([await service.cache('a'), await service.cache('a')]).toEqual([value, value]);
    expect(await service.cache('b')).not.toBe(value);
  });

  it(`${named('CacheableNull')}: a null result is kept as null`, async () => {
    expect(await entry('testCache', 'a')).toEqual({ hit: false });
    await service.cacheNull('a');
    expect(await service.cacheNull('a')).toBeNull();
    expect(await entry('testCache', 'a')).toMatchObject({ hit: true, value: null });
  });

  it(`${named('CacheableSync')}: calls at once share one run, without an option for it`, async () => {
    const values = await Promise.all(['a', 'a', 'a'].map((arg) => service.cache(arg)));
    expect(new Set(values).size).toBe(1);
    expect(service.counter).toBe(1);
  });

  it(`${named('CacheableSyncNull')}: the same for null`, async () => {
    const values = await Promise.all(['a', 'a', 'a'].map((arg) => service.cacheNull(arg)));
    expect(values).toEqual([null, null, null]);
    expect(service.nulls).toBe(1);
  });

  it.each(['Evict', 'EvictWithKey'])(`${named('%s')}: the next call runs anew`, async () => {
    const value = await service.cache('a');
    const other = await service.cache('b');
    await service.evict('a', 'not in the key');
    expect(await has('testCache', 'a')).toBe(false);
    expect(await service.cache('a')).not.toBe(value);
    expect(await service.cache('b')).toBe(other);
  });

  it.each(['EvictEarly', 'EvictWithKeyEarly'])(
    `${named('%s')}: beforeInvocation evicts although the method throws`,
    async () => {
      const value = await service.cache('a');
      await expect(service.evictEarly('a')).rejects.toThrow('still occur');
      expect(await has('testCache', 'a')).toBe(false);
      expect(await service.cache('a')).not.toBe(value);
    },
  );

  it(`${named('EvictWithException')}: a method that throws evicts nothing`, async () => {
    const value = await service.cache('a');
    await expect(service.evictWithException('a')).rejects.toThrow('not occur');
    expect(await service.cache('a')).toBe(value);
  });

  it(`${named('EvictAll')}: all entries of the name go, those of other names stay`, async () => {
    const values = [await service.cache('a'), await service.cache('b')];
    const other = await service.multiCache('a');
    await service.evictAll();
    expect([await has('testCache', 'a'), await has('testCache', 'b')]).toEqual([false, false]);
    expect(await service.cache('a')).not.toBe(values[0]);
    expect(await service.multiCache('a')).toBe(other);
  });

  it(`${named('EvictAllEarly')}: the same before the method, which throws`, async () => {
    await service.cache('a');
    await service.cache('b');
    await expect(service.evictAllEarly()).rejects.toThrow('still occur');
    expect([await has('testCache', 'a'), await has('testCache', 'b')]).toEqual([false, false]);
  });

  it.each(['ConditionalExpression', 'ConditionalExpressionSync'])(
    `${named('%s')}: a condition that does not hold leaves the cache out`,
    async () => {
      expect(await service.conditional(4)).not.toBe(await service.conditional(4));
      expect(await service.conditional(3)).toBe(await service.conditional(3));
    },
  );

  it(`${named('UnlessExpression')}: unless sees the result and refuses to store it`, async () => {
    await service.unless(10);
    await service.unless(11);
    expect(await entry('testCache', 10)).toMatchObject({ value: 10 });
    expect(await has('testCache', 11)).toBe(false);
  });

  it(`${named('KeyExpression')}: only what the key names tells calls apart`, async () => {
    expect(await service.key(5, 1)).toBe(await service.key(5, 2));
    expect(await service.key(1, 5)).not.toBe(await service.key(2, 5));
  });

  it(`${named('VarArgsKey')}: rest arguments count in number and order`, async () => {
    const value = await service.varArgsKey(1, 2, 3);
    expect(await service.varArgsKey(1, 2, 3)).toBe(value);
    expect(await service.varArgsKey(1, 2)).not.toBe(value);
    expect(await service.varArgsKey([1, 2, 3])).not.toBe(value);
  });

  it(`${named('NullValue')}: a cached null spares the run, for its own arguments only`, async () => {
    await service.cacheNull('a');
    await service.cacheNull('a');
    expect(service.nulls).toBe(1);
    await service.cacheNull('b');
    expect(service.nulls).toBe(2);
  });

  it(`${named('MethodName')}: a constant key is found under that constant`, async () => {
    const value = await service.named('a');
    expect(await service.named('b')).toBe(value);
    expect(await entry('testCache', 'name')).toMatchObject({ value });
  });

  it(`${named('RootVars')}: key functions see the object that was called`, async () => {
    const value = await service.rootVars('a');
    expect(await service.rootVars('b')).toBe(value);
    expect(await entry('testCache', type.name)).toMatchObject({ value });
  });

  it(`${named('CustomKeyGenerator')}: a key generator is found by its token`, async () => {
    const value = await service.customKeyGenerator('a');
    expect(await entry('testCache', 'generated a')).toMatchObject({ value });
  });

  it(`${named('CustomCacheManager')}: "cache" names another cache, the main one stays empty`, async () => {
    const value = await service.customCache('a');
    expect(await service.customCache('a')).toBe(value);
    expect(await custom.get(decoratedKey('testCache', 'a'))).toBe(value);
    expect(await has('testCache', 'a')).toBe(false);
  });

  it(`${named('NullArg')}: null is an argument like any other, and no missing one`, async () => {
    expect(await service.cache(null)).toBe(await service.cache(null));
    expect(await service.cache(undefined)).not.toBe(await service.cache(null));
  });

  it.each(['CheckedException', 'CheckedExceptionSync'])(
    `${named('%s')}: what an async method throws reaches the caller as it is, each time`,
    async () => {
      for (const arg of ['one', 'one'])
        await expect(service.throwAsync(arg)).rejects.toThrow(new SyntaxError(arg));
      expect(await has('testCache', 'one')).toBe(false);
    },
  );

  it.each(['UncheckedException', 'UncheckedExceptionSync'])(
    `${named('%s')}: what a synchronous method throws rejects as it is`,
    async () => {
      await expect(service.throwSync('1')).rejects.toThrow(new TypeError('1'));
    },
  );

  it(`${named('Update')}: a put runs each time and stores each time`, async () => {
    for (const arg of ['a', 'b', 'a']) {
      const value = await service.update(arg);
      expect(await entry('testCache', arg)).toMatchObject({ value });
    }
    expect(service.counter).toBe(3);
  });

  it(`${named('ConditionalUpdate')}: a put whose condition does not hold stores nothing`, async () => {
    expect([await service.conditionalUpdate(1), await service.conditionalUpdate(3)]).toEqual([
      1, 3,
    ]);
    expect([await has('testCache', 1), await has('testCache', 3)]).toEqual([false, true]);
  });

  it(`${named('MultiCache')}: one run fills both names`, async () => {
    for (const arg of ['a', 'b']) {
      const value = await service.multiCache(arg);
      expect(await entry('primary', arg)).toMatchObject({ value });
      expect(await entry('secondary', arg)).toMatchObject({ value });
      expect(await service.multiCache(arg)).toBe(value);
    }
  });

  it(`${named('MultiEvict')}: all the evictions of one method happen`, async () => {
    const value = await service.multiCache('o');
    await put('primary', 'oA');
    await service.multiEvict('o');
    const left = [
      await has('primary', 'o'),
      await has('secondary', 'o'),
      await has('primary', 'oA'),
    ];
    expect(left).toEqual([false, false, false]);
    const again = await service.multiCache('o');
    expect(again).not.toBe(value);
    expect(await service.multiCache('o')).toBe(again);
  });

  it(`${named('MultiPut')}: one result is put under both names`, async () => {
    for (const arg of [1, 2]) {
      await service.multiUpdate(arg);
      expect(await entry('primary', arg)).toMatchObject({ value: arg });
      expect(await entry('secondary', arg)).toMatchObject({ value: arg });
    }
  });

  it(`${named('PutRefersToResult')}: a key made from the result`, async () => {
    await service.putRefersToResult({ id: undefined });
    expect(await entry('primary', -1)).toMatchObject({ value: { id: -1 } });
  });

  it(`${named('PutRefersToResultWithUnless')}: with an unless that lets it pass`, async () => {
    await service.putEvaluatesUnlessBeforeKey({ id: 42 });
    expect(await entry('primary', 42)).toMatchObject({ value: { id: 42 } });
  });

  it(`${named('PutEvaluatesUnlessBeforeKey')}: a null result is refused before the key would fail on it`, async () => {
    expect(await service.putEvaluatesUnlessBeforeKey({ id: -1 })).toBeNull();
    expect(await has('primary', -1)).toBe(false);
  });

  it(`${named('MultiCacheAndEvict')}: a look-up and an eviction of another name side by side`, async () => {
    await put('secondary', 1);
    const value = await service.multiCacheAndEvict(1);
    expect(await service.multiCacheAndEvict(1)).toBe(value);
    expect(await entry('primary', 'multiCacheAndEvict')).toMatchObject({ value });
    expect(await has('secondary', 1)).toBe(false);
  });

  it(`${named('MultiConditionalCacheAndEvict')}: the eviction happens whether or not the look-up counts`, async () => {
    await put('secondary', 1);
    const value = await service.multiConditionalCacheAndEvict(1);
    expect(await service.multiConditionalCacheAndEvict(1)).not.toBe(value);
    expect([await has('primary', 1), await has('secondary', 1)]).toEqual([false, false]);
    await put('secondary', 3);
    const kept = await service.multiConditionalCacheAndEvict(3);
    expect(await service.multiConditionalCacheAndEvict(3)).toBe(kept);
    expect(await has('secondary', 3)).toBe(false);
  });
});

describe('AbstractCacheAnnotationTests, what cannot be found', () => {
  const start = (type: Type) =>
    Test.createTestingModule({ imports: [CacheModule.forRoot()], providers: [type] })
      .compile()
      .then((module) => module.init());

  it('AbstractCacheAnnotationTests.testUnknownCustomCacheManager: an unknown cache stops the application', async () => {
    @Injectable()
    class Unknown {
      @Cacheable({ cache: 'unknown' })
      read(): number {
        return 1;
      }
    }
    await expect(start(Unknown)).rejects.toThrow(/no cache named "unknown"/);
  });

  it('AbstractCacheAnnotationTests.testUnknownCustomKeyGenerator: an unknown key generator stops the application', async () => {
    @Injectable()
    class Unknown {
      @Cacheable({ keyGenerator: 'unknown generator' })
      read(): number {
        return 1;
      }
    }
    await expect(start(Unknown)).rejects.toThrow(/unknown generator/);
  });
});
