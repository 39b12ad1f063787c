import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { Cacheable, CacheEvict, CacheModule, CacheService, Caching } from 'nestjs-scoped-cache';

/**
 * The cases of Spring's CacheSyncFailureTests in our terms; see docs/spring.md. Spring refuses these combinations under
 * `sync = true`. Here one run for calls at once is not an option but the rule, and the combinations work.
 */
@Injectable()
class SimpleService {
  counter = 0;

  @Cacheable({ unless: ({ result }) => result > 1 })
  async unlessSync(_arg: string): Promise<number> {
    return this.next();
  }

  @Cacheable({ name: ['testCache', 'anotherTestCache'], key: '{args.0}' })
  async severalCachesSync(_arg: string): Promise<number> {
    return this.next();
  }

  @Caching({
    cacheable: [{ key: '{args.0}' }, { cache: 'other', key: '{args.0}' }],
  })
  async severalCachesWithResolvedSync(_arg: string): Promise<number> {
    return this.next();
  }

  @Cacheable({ name: 'one', key: '{args.0}' })
  @CacheEvict({ name: 'testCache', key: '{args.0}' })
  async syncWithAnotherOperation(_arg: string): Promise<number> {
    return this.next();
  }

  @Cacheable({ name: 'first', key: '{args.0}' })
  @Cacheable({ name: 'second', key: ({ args: [arg] }) => `${arg}!` })
  async syncWithTwoGetOperations(_arg: string): Promise<number> {
    return this.next();
  }

  async next(): Promise<number> {
    const value = ++this.counter;
    await new Promise((resolve) => setImmediate(resolve));
    return value;
  }
}

describe('CacheSyncFailureTests', () => {
  let module: TestingModule;
  let service: SimpleService;

  beforeEach(async () => {
    module = await Test.createTestingModule({
      imports: [CacheModule.forRoot(), CacheModule.forFeature({ name: 'other' })],
      providers: [SimpleService],
    }).compile();
    await module.init();
    service = module.get(SimpleService);
  });
  afterEach(() => module.close());

  const atOnce = (call: () => Promise<number>) => Promise.all([call(), call(), call()]);

  it('CacheSyncFailureTests.unlessSync: unless works, and calls at once share one run', async () => {
    const call = () => service.unlessSync('key');
    expect(await atOnce(call)).toEqual([1, 1, 1]);
    expect(await call()).toBe(1);
    await module.get(CacheService).clear();
    expect(await atOnce(call)).toEqual([2, 2, 2]);
    expect(await call()).toBe(3);
  });

  it.each([
    ['severalCachesSync', () => service.severalCachesSync('key')],
    ['severalCachesWithResolvedSync', () => service.severalCachesWithResolvedSync('key')],
    ['syncWithTwoGetOperations', () => service.syncWithTwoGetOperations('key')],
  ])('CacheSyncFailureTests.%s: several names or caches share one run', async (_, call) => {
    expect(await atOnce(call)).toEqual([1, 1, 1]);
    expect(await call()).toBe(1);
  });

  it('CacheSyncFailureTests.syncWithAnotherOperation: the other operation happens, hit or not', async () => {
    await service.severalCachesSync('key');
    expect(await atOnce(() => service.syncWithAnotherOperation('key'))).toEqual([2, 2, 2]);
    expect(await module.get(CacheService).size()).toBe(2);
    expect(await service.severalCachesSync('key')).toBe(1);
    await service.syncWithAnotherOperation('key');
    expect(await module.get(CacheService).size()).toBe(2);
  });
});
