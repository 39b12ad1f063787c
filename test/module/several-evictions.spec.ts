import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  Cacheable,
  CacheEvict,
  CacheModule,
  CacheService,
  decoratedKey,
} from 'nestjs-scoped-cache';
import { FaultyStorage, mapStorage } from 'nestjs-scoped-cache/testing';
import { manualPlatform } from '../support/nest/manual-platform.js';
import { CACHE_PLATFORM } from 'nestjs-scoped-cache';
import { spyOnWarnings } from '../support/nest/warnings.js';

@Injectable()
class Pages {
  @Cacheable({ name: 'a', key: 'k', vary: ['accept-language'] })
  async show(): Promise<string> {
    return 'shown';
  }

  @CacheEvict({ name: ['a', 'b'], key: 'k', tags: ['t'] })
  async change(): Promise<string> {
    return 'changed';
  }

  @CacheEvict({ name: ['a', 'b'], key: 'k', allEntries: true, tags: ['t'] })
  async changeAll(): Promise<string> {
    return 'changed';
  }
}

describe.each(['degrade', 'throw'] as const)(
  "@CacheEvict, onStorageError '%s'",
  (onStorageError) => {
    const warnings = spyOnWarnings();
    const platform = manualPlatform();
    let module: TestingModule;
    let storage: FaultyStorage;

    beforeEach(async () => {
      storage = new FaultyStorage(mapStorage(), platform.clock);
      module = await Test.createTestingModule({
        imports: [CacheModule.forRoot({ storage: storage.wrapped, onStorageError })],
        providers: [Pages],
      })
        .overrideProvider(CACHE_PLATFORM)
        .useValue(platform)
        .compile();
      await module.init();
    });
    afterEach(() => module.close());

    it.each(['change', 'changeAll'] as const)(
      'P13 %s: while the storage is away, everything that it names is journaled and goes later',
      async (method) => {
        const cache = module.get(CacheService);
        const keys = [decoratedKey('a', 'k'), decoratedKey('b', 'k')];
        await cache.set(keys[0]!, 'old', { tags: ['@name:a'] });
        await cache.set(keys[1]!, 'old', { tags: ['@name:b'] });
        await cache.set('tagged', 'old', { tags: ['t'] });
        storage.failNext(Infinity);
        expect(await module.get(Pages)[method]()).toBe('changed');
        storage.recover();
        await platform.clock.advanceAsync(5_000);
        expect(await cache.getMany([...keys, 'tagged'])).toEqual([undefined, undefined, undefined]);
        expect(warnings.texts.join()).not.toContain('NOTHING WAS EVICTED');
      },
    );
  },
);
