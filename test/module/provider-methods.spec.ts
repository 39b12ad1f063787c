/* oxlint-disable typescript/no-explicit-any -- frameworks' requests and parsed answers */
import { Injectable, Scope, type INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { firstValueFrom, Observable, of } from 'rxjs';
import {
  Cacheable,
  CacheConfig,
  CacheEvict,
  CacheKey,
  CacheModule,
  CachePut,
  CacheService,
  Caching,
  decoratedKey,
  InvalidOptionsError,
  type CacheModuleOptions,
} from 'nestjs-scoped-cache';
import { spyOnWarnings } from '../support/nest/warnings.js';

@Injectable()
class Numbers {
  calls = 0;

  @Cacheable()
  double(n: number): number {
    this.calls++;
    return n * 2;
  }

  @Cacheable()
  async triple(n: number): Promise<number> {
    this.calls++;
    return n * 3;
  }

  @Cacheable()
  byObject(_query: object): number {
    return ++this.calls;
  }

  @Cacheable()
  any(..._args: unknown[]): number {
    return ++this.calls;
  }

  @Cacheable()
  observed(n: number): Observable<number> {
    this.calls++;
    return of(n, n * 4);
  }

  @Cacheable({ key: () => 'constant' })
  constant(n: number): number {
    this.calls++;
    return n;
  }

  @Cacheable()
  marked(@CacheKey() n: number, _other: unknown): number {
    this.calls++;
    return n;
  }

  @Cacheable({ key: 'x{args.0.id}' })
  template(query: { id: unknown }): unknown {
    this.calls++;
    return query.id;
  }

  viaThis(n: number): Promise<number> {
    return this.double(n) as unknown as Promise<number>;
  }

  @Cacheable()
  falsy(value: unknown): unknown {
    this.calls++;
    return value;
  }

  @Cacheable()
  async failing(): Promise<never> {
    this.calls++;
    await new Promise((resolve) => setImmediate(resolve));
    throw new RangeError(`failure ${this.calls}`);
  }

  @Cacheable()
  unstorable(): unknown {
    this.calls++;
    return { when: () => 1 };
  }

  @Cacheable({ scope: ({ args: [org, user] }) => ({ org, user }) })
  positional(_org: string, _user: string): number {
    return ++this.calls;
  }

  @Cacheable({ scope: 'user' })
  scoped(): number {
    return ++this.calls;
  }

  @Cacheable({ scope: 'user', onMissingScope: 'throw' })
  strict(): number {
    return ++this.calls;
  }

  @Cacheable({ unless: ({ result }) => result === 0 })
  notZero(n: number): number {
    this.calls++;
    return n;
  }

  @Cacheable({ condition: ({ args: [n] }) => n > 10 })
  onlyLarge(n: number): number {
    this.calls++;
    return n;
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerRequest {
  @Cacheable()
  token(): object {
    return {};
  }
}

@Injectable({ scope: Scope.TRANSIENT })
class Transient extends Numbers {}

@Injectable()
class Inherited extends Numbers {}

@Injectable()
@CacheConfig({ name: 'books' })
class Books {
  calls = 0;

  @Cacheable()
  find(id: number): object {
    this.calls++;
    return { id, version: this.calls };
  }

  @CachePut()
  save(id: number, version: string): object {
    return { id, version };
  }

  @CacheEvict()
  remove(_id: number): void {}

  @CacheEvict({ allEntries: true })
  async removeAll(fail = false): Promise<void> {
    if (fail) throw new Error('no');
  }

  @CacheEvict({ allEntries: true, beforeInvocation: true })
  removeAllFirst(): void {
    throw new Error('no');
  }

  @Caching({ evict: [{ key: '{args.0}' }, { key: '{args.1}' }] })
  removeTwo(_a: number, _b: number): void {}

  @CacheEvict({ key: ({ result }) => result })
  removeReturned(id: number): number {
    return id;
  }
}

/** Decorated methods are asynchronous, whatever they are declared as. */
const later = (value: unknown): Promise<any> => value as Promise<any>;

describe('decorated provider methods', () => {
  let app: INestApplicationContext;
  let numbers: Numbers;
  let books: Books;
  let cache: CacheService;
  const warnings = spyOnWarnings();

  const start = async (
    options?: CacheModuleOptions,
    providers: any[] = [],
  ): Promise<INestApplicationContext> => {
    const module = await Test.createTestingModule({
      imports: [CacheModule.forRoot(options)],
      providers: [Numbers, PerRequest, Transient, Inherited, Books, ...providers],
    }).compile();
    return module.init();
  };

  beforeEach(async () => {
    warnings.clear();
    app = await start();
    numbers = app.get(Numbers);
    books = app.get(Books);
    cache = app.get(CacheService);
  });
  afterEach(() => app.close());

  it('CA-09 PC-06: the body runs once for each set of arguments', async () => {
    expect([await numbers.double(1), await numbers.double(1), await numbers.double(2)]).toEqual([
      2, 2, 4,
    ]);
    expect(numbers.calls).toBe(2);
  });

  it('CA-10: of an async method the value is cached, not the promise', async () => {
    expect([await numbers.triple(1), await numbers.triple(1)]).toEqual([3, 3]);
    expect(numbers.calls).toBe(1);
    expect((await cache.lookup(decoratedKey('Numbers.triple', 1))).hit).toBe(true);
  });

  it('CA-11 CA-13: plain objects are arguments, whatever the order of their fields', async () => {
    expect(await numbers.byObject({ a: 1, b: { c: 2, d: 3 } })).toBe(1);
    expect(await numbers.byObject({ b: { d: 3, c: 2 }, a: 1 })).toBe(1);
    expect(await numbers.byObject({ a: 1, b: { c: 2, d: 4 } })).toBe(2);
  });

  it('P4: arguments are type-tagged', async () => {
    const args = [1, '1', 1n, true, 'true', null, 'null', undefined, [1], ['1'], NaN, -0, 0];
    for (const one of args) await numbers.any(one);
    await numbers.any();
    expect(numbers.calls).toBe(args.length + 1);
  });

  it('CA-12 PC-37: arguments without a stable text run the method each time, with one warning', async () => {
    expect([
      await numbers.any(() => 1),
      await numbers.any(() => 1),
      await numbers.any(Symbol('x')),
    ]).toEqual([1, 2, 3]);
    expect(warnings.texts).toHaveLength(1);
    expect(warnings.texts[0]).toMatch(/Numbers\.any.*no stable text.*uncached/);
  });

  it('CA-14: a programmatic key never collides with a method', async () => {
    await cache.set('Numbers.double', 'mine');
    await cache.set(['Numbers.double', 1], 'mine');
    expect(await numbers.double(1)).toBe(2);
  });

  it('CA-17 P3: a strict method throws the missing level by name', async () => {
    await expect(numbers.strict()).rejects.toMatchObject({ code: 'MISSING_SCOPE', level: 'org' });
    expect(numbers.calls).toBe(0);
  });

  it('CA-20 P3: a method whose scope has no id runs uncached with one warning', async () => {
    expect([await numbers.scoped(), await numbers.scoped()]).toEqual([1, 2]);
    expect(warnings.texts).toHaveLength(1);
    expect(warnings.texts[0]).toMatch(
      /Numbers\.scoped: Missing the org id.*no request is being served.*runInScope/,
    );
  });

  it('CA-15 CA-21: scope ids may come from positional arguments', async () => {
    for (const org of ['o1', 'o2']) for (let i = 0; i < 2; i++) await numbers.positional(org, 'u1');
    expect(numbers.calls).toBe(2);
    expect(await cache.size({ scope: { org: 'o1', user: 'u1' } })).toBe(1);
  });

  it('P1 of runInScope in runInScope the innermost ids answer, alone, and the outer ones again after it', async () => {
    const [outer, inner] = [
      { org: 'o1', user: 'ann' },
      { org: 'o2', user: 'bob' },
    ];
    await cache.runInScope(outer, async () => {
      await cache.runInScope(inner, () => cache.set('k', 'inner', { scope: 'user' }));
      await expect(
        cache.runInScope({ org: 'o2' }, () => cache.get('k', { scope: 'user' })),
      ).rejects.toMatchObject({ code: 'MISSING_SCOPE' });
      await cache.set('l', 'outer', { scope: 'user' });
    });
    expect(await cache.get('k', { scope: inner })).toBe('inner');
    expect(await cache.get('l', { scope: outer })).toBe('outer');
  });

  it('runInScope gives ids where there is no request', async () => {
    const asAnn = () => cache.runInScope({ org: 'o1', user: 'ann' }, () => numbers.scoped());
    const asBob = () => cache.runInScope({ org: 'o1', user: 'bob' }, () => numbers.scoped());
    expect([await asAnn(), await asAnn(), await asBob()]).toEqual([1, 1, 2]);
  });

  it('P1: ids that are changed while the work runs do not lead it to another scope', async () => {
    const ids = { org: 'o1', user: 'ann' };
    const work = cache.runInScope(ids, async () => {
      await Promise.resolve();
      await cache.set('k', 'ann’s', { scope: 'user' });
    });
    ids.user = 'bob';
    await work;
    expect(await cache.get('k', { scope: { org: 'o1', user: 'ann' } })).toBe('ann’s');
    expect(await cache.has('k', { scope: ids })).toBe(false);
  });

  it('P9 CA-39: 50 callers of a cold key run the body once', async () => {
    const results = await Promise.all(Array.from({ length: 50 }, () => numbers.triple(7)));
    expect(new Set(results)).toEqual(new Set([21]));
    expect(numbers.calls).toBe(1);
  });

  it('P9 CA-40: all who wait get the error, the body ran once, and the next call tries again', async () => {
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => numbers.failing()));
    expect(
      results.every(
        (result) => result.status === 'rejected' && result.reason instanceof RangeError,
      ),
    ).toBe(true);
    expect(numbers.calls).toBe(1);
    await expect(numbers.failing()).rejects.toThrow('failure 2');
  });

  it.each([[undefined], [null], [0], [''], [false], [NaN]])(
    'P10 SC-37: %p is a value and a hit',
    async (value) => {
      const first = await numbers.falsy(value);
      expect(await numbers.falsy(value)).toBe(first);
      expect(Object.is(first, value)).toBe(true);
      expect(numbers.calls).toBe(1);
    },
  );

  it('a result that looks like a stored response is itself', async () => {
    const lookalike = { '@http': 1, body: 'b', status: 500 };
    await numbers.falsy(lookalike);
    expect(await numbers.falsy(lookalike)).toEqual(lookalike);
    expect(numbers.calls).toBe(1);
  });

  it('P11: mutating a result does not change the cached one', async () => {
    const first = await later(books.find(1));
    first.version = 'mutated';
    expect(await later(books.find(1))).toEqual({ id: 1, version: 1 });
  });

  it('what cannot be stored still reaches its caller, with one warning', async () => {
    for (let i = 1; i <= 3; i++) expect(await later(numbers.unstorable())).toHaveProperty('when');
    expect(numbers.calls).toBe(3);
    expect(warnings.texts).toHaveLength(1);
  });

  it('PC-07: a key function that returns a constant ignores the arguments', async () => {
    expect([await numbers.constant(1), await numbers.constant(2)]).toEqual([1, 1]);
  });

  it('PC-08: a cached value is visible under its documented key', async () => {
    await numbers.double(21);
    expect(await cache.get(decoratedKey('Numbers.double', 21))).toBe(42);
  });

  it('@CacheKey: only marked parameters count', async () => {
    expect([await numbers.marked(1, () => 1), await numbers.marked(1, 'x')]).toEqual([1, 1]);
    expect(numbers.calls).toBe(1);
  });

  it('key templates keep types apart and refuse what is undefined', async () => {
    expect(await numbers.template({ id: 1 })).toBe(1);
    expect(await numbers.template({ id: '1' })).toBe('1');
    expect(await numbers.template({ id: 1 })).toBe(1);
    expect(numbers.calls).toBe(2);
    await numbers.template({} as never);
    await numbers.template({} as never);
    expect(numbers.calls).toBe(4);
    expect(warnings.texts.join()).toMatch(/\{args\.0\.id\} is undefined/);
  });

  it('condition and unless decide', async () => {
    for (const n of [0, 0, 1, 1]) await numbers.notZero(n);
    expect(numbers.calls).toBe(3);
    for (const n of [5, 5, 11, 11]) await numbers.onlyLarge(n);
    expect(numbers.calls).toBe(6);
  });

  it('an Observable method stays one, and its last value is cached', async () => {
    const values = [
      await firstValueFrom(numbers.observed(2)),
      await firstValueFrom(numbers.observed(2)),
    ];
    expect(values).toEqual([8, 8]);
    expect(numbers.calls).toBe(1);
  });

  it('self-invocation is cached', async () => {
    await numbers.viaThis(3);
    await numbers.viaThis(3);
    expect(numbers.calls).toBe(1);
  });

  it('request-scoped, transient and inherited providers are cached, the last under their own class', async () => {
    const [one, two] = [await app.resolve(PerRequest), await app.resolve(PerRequest)];
    expect(one).not.toBe(two);
    await one.token();
    await two.token();
    expect((await cache.stats()).hits).toBe(1);
    const transient = await app.resolve(Transient);
    await transient.double(1);
    await app.get(Inherited).double(1);
    await numbers.double(1);
    expect([transient.calls, app.get(Inherited).calls, numbers.calls]).toEqual([1, 1, 1]);
  });

  it('@CachePut stores where @Cacheable of the same name finds it; @CacheEvict removes it', async () => {
    await books.find(1);
    await cache.set('other', 1);
    await cache.delete('other');
    // The default key of save would include the version, so the two do not meet: that is what "key" is for.
    await books.save(1, 'x');
    expect(await later(books.find(1))).toEqual({ id: 1, version: 1 });
    await books.remove(1);
    expect(await later(books.find(1))).toEqual({ id: 1, version: 2 });
  });

  it('allEntries evicts every key of the name after success, and nothing after a failure', async () => {
    await books.find(1);
    await books.find(2);
    await expect(books.removeAll(true)).rejects.toThrow('no');
    await books.find(1);
    expect(books.calls).toBe(2);
    await books.removeAll();
    await books.find(1);
    await books.find(2);
    expect(books.calls).toBe(4);
  });

  it('beforeInvocation evicts even when the method fails', async () => {
    await books.find(1);
    await expect(later(books.removeAllFirst())).rejects.toThrow('no');
    await books.find(1);
    expect(books.calls).toBe(2);
  });

  it('several operations, and keys from the result', async () => {
    for (const id of [1, 2, 3]) await books.find(id);
    await books.removeTwo(1, 2);
    await books.removeReturned(3);
    for (const id of [1, 2, 3]) await books.find(id);
    expect(books.calls).toBe(6);
  });

  it('P5: a method that is running when its key is evicted is not stored, and its successors do not join it', async () => {
    let finish!: (value: string) => void;
    @Injectable()
    class Slow {
      calls = 0;
      @Cacheable({ name: 'slow' })
      read(): Promise<string> {
        this.calls++;
        return this.calls === 1
          ? new Promise((resolve) => (finish = resolve))
          : Promise.resolve('new');
      }
      @CacheEvict({ name: 'slow' })
      change(): void {}
    }
    const other = await start(undefined, [Slow]);
    const slow = other.get(Slow);
    const first = slow.read();
    await new Promise((resolve) => setImmediate(resolve));
    await slow.change();
    const second = slow.read();
    finish('old');
    expect([await first, await second, await slow.read()]).toEqual(['old', 'new', 'new']);
    expect(slow.calls).toBe(2);
    await other.close();
  });

  it('P12: a storage that fails everywhere leaves the method working', async () => {
    const broken = (): never => {
      throw new Error('down');
    };
    const storage = { name: 'broken', get: broken, set: broken, delete: broken, clear: broken };
    for (const onStorageError of ['degrade', 'throw'] as const) {
      const other = await start({ storage, onStorageError });
      const service = other.get(Numbers);
      expect([await service.double(1), await service.double(1)]).toEqual([2, 2]);
      expect(await later(other.get(Books).find(1))).toMatchObject({ id: 1 });
      await other.get(Books).remove(1);
      await other.close();
    }
  });

  it('CA-48: two classes of one name that cache the same method are an error at start-up', async () => {
    const make = () => {
      @Injectable()
      class Twin {
        @Cacheable()
        read(): number {
          return 1;
        }
      }
      return Twin;
    };
    await expect(start(undefined, [make(), make()])).rejects.toThrow(
      /Two different classes are called Twin/,
    );
  });

  it('two methods under one name with default keys are an error at start-up', async () => {
    @Injectable()
    @CacheConfig({ name: 'shared' })
    class Mixed {
      @Cacheable() one(): void {}
      @Cacheable() two(): void {}
    }
    await expect(start(undefined, [Mixed])).rejects.toThrow(
      /Mixed\.(one|two) and Mixed\.(one|two) both cache under the name "shared"/,
    );
  });

  it('an unknown level or cache is an error at start-up', async () => {
    @Injectable()
    class Misspelt {
      @Cacheable({ scope: 'usr' }) one(): void {}
    }
    @Injectable()
    class Elsewhere {
      @Cacheable({ cache: 'nowhere' }) one(): void {}
    }
    await expect(start(undefined, [Misspelt])).rejects.toThrow(/Unknown scope level "usr"/);
    await expect(start(undefined, [Elsewhere])).rejects.toThrow(/no cache named "nowhere"/);
  });

  it('wrong decorator options are an error where they are written', () => {
    expect(() => Cacheable({ tll: 1 } as never)).toThrow(/@Cacheable: unknown option "tll"/);
    expect(() => Cacheable({ ttl: -1 })).toThrow(/@Cacheable: ttl/);
    expect(() => Cacheable({ key: '{argz.0}' })).toThrow(InvalidOptionsError);
    expect(() => CacheEvict({ key: '{result.id}', beforeInvocation: true })).toThrow(/result/);
    expect(() => CachePut({ unless: true } as never)).toThrow(/unless: expected a function/);
  });

  it('a method that was taken from its object runs uncached and says so once', async () => {
    @Injectable()
    class Words {
      @Cacheable()
      upper(this: void, word: string): string {
        return word.toUpperCase();
      }
    }
    const other = await start(undefined, [Words]);
    const { upper } = other.get(Words);
    expect(['a', 'b'].map((word) => upper(word))).toEqual(['A', 'B']);
    expect(warnings.texts).toHaveLength(1);
    expect(warnings.texts[0]).toMatch(/Words\.upper .*without its object.*bind it/);
    await other.close();
  });

  it('an instance that Nest did not make runs uncached and says so once', async () => {
    const made = new Numbers();
    expect([made.double(1), made.double(1)]).toEqual([2, 2]);
    expect(warnings.texts).toHaveLength(1);
    expect(warnings.texts[0]).toMatch(/Nest did not build this instance/);
  });
});
