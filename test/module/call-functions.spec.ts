/* oxlint-disable typescript/no-explicit-any -- answers that the types would refuse */
import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  Cacheable,
  CacheEvict,
  CacheModule,
  CachePut,
  CacheService,
  decoratedKey,
} from 'nestjs-scoped-cache';
import { spyOnWarnings } from '../support/nest/warnings.js';

/** What functions given to decorators (`scope`, `key`, `tags`, `ttl`, `condition`) may answer, and what becomes of what they may not. A rejection that nobody hears fails the suite: test/support/fail-on-unhandled.mjs. */

let answer: (call: any) => any;
const asked = (call: any): any => answer(call);

@Injectable()
class Service {
  calls = 0;

  @Cacheable({ scope: asked }) scope(): any {
    return ++this.calls;
  }
  @Cacheable({ scope: asked, onMissingScope: 'throw' }) strict(): any {
    return ++this.calls;
  }
  @Cacheable({ key: asked }) key(): any {
    return ++this.calls;
  }
  @Cacheable({ ttl: asked }) ttl(): any {
    return ++this.calls;
  }
  @Cacheable({ tags: asked }) tags(): any {
    return ++this.calls;
  }
  @Cacheable({ condition: asked }) condition(): any {
    return ++this.calls;
  }
  @CacheEvict({ scope: asked, allEntries: true }) evictAll(): any {
    return ++this.calls;
  }
  @CacheEvict({ tags: asked }) evictTags(): any {
    return ++this.calls;
  }
  @CachePut({ name: 'put', key: '1', scope: asked }) put(): any {
    return ++this.calls;
  }
  @CachePut({ name: 'put', key: ({ result }) => result.id, scope: ({ result }) => result.ids })
  save(id: string, ids: object): any {
    return { id, ids };
  }
  @CacheEvict({ name: 'put', key: ({ result }) => result.id, scope: ({ result }) => result.ids })
  drop(id: string, ids: object): any {
    return { id, ids };
  }
  @Cacheable({ name: 'beside', key: '{args.0}' })
  @CachePut({ name: 'put', key: '{args.0}', condition: ({ result }) => result.flags.kept })
  flagged(id: string, kept: boolean): any {
    return { id, flags: { kept } };
  }
}

describe('functions of the call', () => {
  const warnings = spyOnWarnings();
  let module: TestingModule;
  let service: Service;
  let cache: CacheService;

  beforeEach(async () => {
    warnings.clear();
    module = await Test.createTestingModule({
      imports: [CacheModule.forRoot()],
      providers: [Service],
    }).compile();
    await module.init();
    service = module.get(Service);
    cache = module.get(CacheService);
  });
  afterEach(() => module.close());

  const twice = async (method: keyof Service): Promise<unknown[]> => [
    await (service[method] as any)(),
    await (service[method] as any)(),
  ];

  it.each([undefined, null])('P3 a scope that came out %p is not the global one', async (none) => {
    answer = () => none;
    expect(await twice('scope')).toEqual([1, 2]);
    await expect(service.strict()).rejects.toMatchObject({ code: 'MISSING_SCOPE' });
    expect([service.calls, await cache.size({ scope: 'global' })]).toEqual([2, 0]);
    expect(warnings.texts).toEqual([expect.stringMatching(/"scope" returned (undefined|null)\. /)]);
  });

  it('P3 an eviction in a scope that came out undefined evicts nothing, and not everything', async () => {
    answer = () => undefined;
    await cache.set('kept', 1);
    await cache.set('kept', 1, { scope: { org: 'o1' } });
    expect(await service.evictAll()).toBe(1);
    expect(await cache.size()).toBe(2);
    expect(warnings.texts).toEqual([expect.stringContaining('NOTHING WAS EVICTED')]);
  });

  it('a scope may depend on what the method returns, for puts and evictions', async () => {
    const ids = { org: 'o1', user: 'u1' };
    await service.save('7', ids);
    expect(await cache.get(decoratedKey('put', '7'), { scope: ids })).toEqual({ id: '7', ids });
    await service.drop('7', ids);
    expect(await cache.size()).toBe(0);
  });

  it('a condition may look into the result, also beside a look-up', async () => {
    await service.flagged('a', true);
    await service.flagged('b', false);
    expect(await cache.has(decoratedKey('put', 'a'))).toBe(true);
    expect(await cache.has(decoratedKey('put', 'b'))).toBe(false);
  });

  it('a condition that answers undefined does not hold', async () => {
    answer = () => undefined;
    expect(await twice('condition')).toEqual([1, 2]);
  });

  it.each<[keyof Service, string, unknown, RegExp]>([
    ['scope', 'a level that is not there', 'tenant', /Unknown scope level "tenant"/],
    ['scope', 'a number', 42, /scope: expected "global", a level name or ids by level, got 42/],
    ['ttl', 'a negative TTL', -1, /expected seconds.* got -1/],
    ['ttl', 'no TTL', undefined, /expected seconds.* got undefined/],
    ['tags', 'one tag, which would be stored as its letters', 'abc', /list of strings.* "abc"/],
    ['tags', 'no tags', undefined, /list of strings, got undefined/],
  ])(
    '%s: with %s the method runs uncached, and one warning says so',
    async (method, _, given, text) => {
      answer = () => given;
      expect(await twice(method)).toEqual([1, 2]);
      expect(await cache.size()).toBe(0);
      expect(warnings.texts).toEqual([expect.stringMatching(text)]);
    },
  );

  it.each<keyof Service>(['scope', 'key', 'ttl', 'tags', 'evictTags', 'evictAll', 'put'])(
    '%s: a promise is refused with one warning, and its rejection does not end the process',
    async (method) => {
      answer = async () => {
        throw new Error('nobody hears this');
      };
      await cache.set('kept', 1);
      expect(await twice(method)).toEqual([1, 2]);
      expect(await cache.size()).toBe(1);
      expect(warnings.texts).toEqual([expect.stringMatching(/answered with a promise.*at once/)]);
    },
  );

  it('a level’s resolver that answers with a promise is refused by name, and its rejection does not end the process', async () => {
    const resolve: any = () => Promise.reject(new Error('nobody hears this'));
    const options = CacheModule.forRoot({ scopes: [{ name: 'tenant', resolve }] });
    const other = await (await Test.createTestingModule({ imports: [options] }).compile()).init();
    await expect(other.get(CacheService).get('k', { scope: 'tenant' })).rejects.toThrow(
      /The tenant id came as a promise.*"resolve"/,
    );
    await other.close();
  });

  it('P12 an id of a wrong kind, such as an ObjectId, stops neither puts nor evictions', async () => {
    answer = () => ({ org: 'o1', user: Object.create({ toString: () => 'id' }) });
    expect(await twice('put')).toEqual([1, 2]);
    expect(await twice('evictAll')).toEqual([3, 4]);
    expect(warnings.texts).toEqual([
      expect.stringMatching(/not stored\. The user id must be a string/),
      expect.stringMatching(/NOTHING WAS EVICTED\. The user id must be a string/),
    ]);
  });
});
