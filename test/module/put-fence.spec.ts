import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { Cacheable, CacheConfig, CacheModule, CachePut, CacheService } from 'nestjs-scoped-cache';
import { deferred } from 'nestjs-scoped-cache/testing';

interface Book {
  readonly id: number;
  readonly title: string;
}

@Injectable()
@CacheConfig({ name: 'books', scope: { org: 'o' } })
class Books {
  title = 'first';
  gate = deferred();
  started = deferred();

  @Cacheable({ key: 'id{args.0}' })
  find(id: number): Book {
    return { id, title: this.title };
  }

  /** Reads what it is going to return, is held up, and returns it. */
  @CachePut({ key: 'id{result.id}', tags: ({ result }) => [`title-${result.title}`] })
  async save(id: number): Promise<Book> {
    const book = { id, title: this.title };
    this.started.resolve();
    await this.gate.promise;
    return book;
  }

  @CachePut({ key: 'id{args.0}' })
  @Cacheable({ name: 'copies', key: 'id{args.0}' })
  async saveBoth(id: number): Promise<Book> {
    return this.save(id);
  }

  @CachePut({ key: 'id{args.0}' })
  async failing(_id: number): Promise<Book> {
    throw new RangeError('refused');
  }
}

describe('P5 @CachePut: what was begun before an eviction is not stored after it', () => {
  let module: TestingModule;
  let books: Books;
  let cache: CacheService;

  beforeEach(async () => {
    module = await Test.createTestingModule({
      imports: [CacheModule.forRoot()],
      providers: [Books],
    }).compile();
    await module.init();
    books = module.get(Books);
    cache = module.get(CacheService);
  });
  afterEach(() => module.close());

  it.each([
    ['evictScope', () => cache.evictScope({ org: 'o' })],
    ['an eviction by a tag that only the result names', () => cache.evictTags('title-first')],
    ['clear', () => cache.clear()],
  ])('%s: the caller gets its value, and the next read runs the method', async (_, evict) => {
    const saved = books.save(1);
    await books.started.promise;
    books.title = 'second';
    await evict();
    books.gate.resolve();
    expect(await saved).toEqual({ id: 1, title: 'first' });
    expect(await books.find(1)).toEqual({ id: 1, title: 'second' });
    expect(cache.loadsUnderWay).toBe(0);
  });

  it('nothing was evicted: stored as ever, and the method may read its own entry while it runs', async () => {
    const saved = books.save(1);
    await books.started.promise;
    expect((await books.find(1)).title).toBe('first');
    books.gate.resolve();
    await saved;
    books.title = 'second';
    expect((await books.find(1)).title).toBe('first');
  });

  it('of two puts at once the entry holds neither, since nobody knows which of them is newer', async () => {
    const saves = [books.save(1), books.save(1)];
    books.gate.resolve();
    await Promise.all(saves);
    books.title = 'second';
    expect((await books.find(1)).title).toBe('second');
  });

  it('P16 a method that throws leaves no fence behind', async () => {
    await expect(books.failing(1)).rejects.toThrow('refused');
    expect(cache.loadsUnderWay).toBe(0);
  });

  it('a put beside a look-up stores under both names', async () => {
    books.gate.resolve();
    await books.saveBoth(2);
    const names: unknown[] = [];
    for await (const key of cache.keys({ scope: { org: 'o' } })) names.push((key as unknown[])[1]);
    expect(names).toContain('copies');
  });
});
