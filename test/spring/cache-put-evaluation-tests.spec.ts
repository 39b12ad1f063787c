import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  Cacheable,
  CacheConfig,
  CacheModule,
  CachePut,
  CacheService,
  decoratedKey,
} from 'nestjs-scoped-cache';

/** The cases of Spring's CachePutEvaluationTests in our terms; see docs/spring.md. */
@Injectable()
@CacheConfig({ name: 'test' })
class SimpleService {
  counter = 0;

  @Cacheable({ key: '{args.0}', condition: ({ args: [, flag] }) => flag })
  @CachePut({ key: '{args.0}', condition: ({ args: [, flag] }) => !flag })
  getOrPut(_id: string, _flag: boolean): number {
    return ++this.counter;
  }

  @Cacheable({ key: '{args.0}' })
  @CachePut({ key: ({ result }) => result + 100, condition: ({ result }) => result !== null })
  getAndPut(_id: number): number {
    return ++this.counter;
  }
}

describe('CachePutEvaluationTests', () => {
  let module: TestingModule;
  let service: SimpleService;

  beforeEach(async () => {
    module = await Test.createTestingModule({
      imports: [CacheModule.forRoot()],
      providers: [SimpleService],
    }).compile();
    await module.init();
    service = module.get(SimpleService);
  });
  afterEach(() => module.close());

  it('CachePutEvaluationTests.mutualGetPutExclusion: conditions that exclude each other choose between reading and putting', async () => {
    const first = await service.getOrPut('1', true);
    expect(await service.getOrPut('1', true)).toBe(first);
    const third = await service.getOrPut('1', false);
    expect(third).toBe(first + 1);
    expect(await service.getOrPut('1', true)).toBe(third);
  });

  it('CachePutEvaluationTests.getAndPut: a put that will happen runs the method; here the look-up’s own entry follows too', async () => {
    const cache = module.get(CacheService);
    const at = (key: number) => cache.get(decoratedKey('test', key));
    const value = await service.getAndPut(1);
    expect([await at(1), await at(value + 100)]).toEqual([value, value]);
    const another = await service.getAndPut(1);
    expect(another).not.toBe(value);
    expect([await at(1), await at(another + 100)]).toEqual([another, another]);
  });
});
