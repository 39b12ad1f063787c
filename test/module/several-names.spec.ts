import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Cacheable, CacheModule } from 'nestjs-scoped-cache';
import { deferred, mapStorage } from 'nestjs-scoped-cache/testing';

const gate = deferred();

@Injectable()
class Pages {
  @Cacheable({ name: ['a', 'b'], key: 'k' })
  async there(): Promise<string> {
    await gate.promise;
    return 'page';
  }

  @Cacheable({ name: ['b', 'a'], key: 'k' })
  async back(): Promise<string> {
    await gate.promise;
    return 'page';
  }
}

describe('methods with several names', () => {
  it('P9 that take them in opposite orders never wait for each other', async () => {
    const module = await Test.createTestingModule({
      imports: [CacheModule.forRoot({ storage: mapStorage() })],
      providers: [Pages],
    }).compile();
    await module.init();
    const pages = module.get(Pages);
    const both = Promise.all([pages.there(), pages.back(), pages.there(), pages.back()]);
    await new Promise((resolve) => setImmediate(resolve));
    gate.resolve();
    const late = new Promise((resolve) =>
      setTimeout(() => resolve('they wait for ever'), 5_000).unref(),
    );
    expect(await Promise.race([both, late])).toEqual(['page', 'page', 'page', 'page']);
    await module.close();
  });
});
