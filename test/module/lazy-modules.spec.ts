import { Injectable, Module } from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { Cacheable, CacheEvict, CacheModule } from 'nestjs-scoped-cache';

@Injectable()
class Eager {
  @CacheEvict({ name: 'eager', key: 'k' })
  async change(): Promise<void> {}
}

@Injectable()
class Pages {
  runs = 0;

  @Cacheable({ name: 'page', key: 'k', vary: ['accept-language'] })
  async show(): Promise<number> {
    return ++this.runs;
  }

  @CacheEvict({ name: 'page', key: 'k' })
  async change(): Promise<void> {}
}

@Module({ providers: [Pages] })
class LazyModule {}

describe('a module that is loaded while the application runs', () => {
  it('P5 its evictions by key reach the variants by header', async () => {
    const app = await Test.createTestingModule({
      imports: [CacheModule.forRoot()],
      providers: [Eager],
    }).compile();
    await app.init();
    await app.get(Eager).change();
    const lazy = await app.get(LazyModuleLoader).load(() => LazyModule);
    const pages = lazy.get(Pages);
    expect(await pages.show()).toBe(1);
    expect(await pages.show()).toBe(1);
    await pages.change();
    expect(await pages.show()).toBe(2);
    await app.close();
  });
});
