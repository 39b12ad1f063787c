import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Cacheable, CacheConfig, CacheModule, CacheService } from 'nestjs-scoped-cache';
import { spyOnWarnings } from '../support/nest/warnings.js';

@Injectable()
class Base {
  reads = 0;

  @Cacheable()
  async find(id: number): Promise<string> {
    return `${id}, read ${++this.reads}`;
  }
}

@Injectable()
class Derived extends Base {
  @Cacheable()
  override async find(id: number): Promise<string> {
    return `derived ${await super.find(id)}`;
  }
}

@Injectable()
@CacheConfig({ name: 'books' })
class Books {
  reads = 0;
  later: Promise<unknown> | undefined;

  @Cacheable({ key: '{args.0}' })
  async find(id: number): Promise<number> {
    return id * 100 + ++this.reads;
  }

  @Cacheable({ key: '{args.0}' })
  async findOrFail(id: number): Promise<number> {
    return this.find(id);
  }

  @Cacheable({ key: 'of-org', scope: ({ args: [org] }) => ({ org }) })
  async ofOrg(org: string, above?: string): Promise<string> {
    this.reads++;
    return above === undefined ? org : `${org} below ${await this.ofOrg(above)}`;
  }

  @Cacheable({ name: 'fibonacci' })
  async fibonacci(n: number): Promise<number> {
    this.reads++;
    return n < 2 ? n : (await this.fibonacci(n - 1)) + (await this.fibonacci(n - 2));
  }

  /** Leaves work behind that asks for the same entry when this load is over. */
  @Cacheable({ name: 'background' })
  async background(): Promise<number> {
    if (this.reads === 0)
      this.later = new Promise((resolve) => setImmediate(resolve)).then(() => this.background());
    return ++this.reads;
  }
}

describe('P9 a method that its own load calls', () => {
  const warnings = spyOnWarnings();
  let app: INestApplicationContext;

  beforeEach(async () => {
    warnings.clear();
    const module = await Test.createTestingModule({
      imports: [CacheModule.forRoot()],
      providers: [Base, Derived, Books],
    }).compile();
    app = await module.init();
  });
  afterEach(() => app.close());

  it('an override and what it overrides do not wait for each other; the override is cached', async () => {
    const derived = app.get(Derived);
    expect([await derived.find(1), await derived.find(1)]).toEqual([
      'derived 1, read 1',
      'derived 1, read 1',
    ]);
    expect(await app.get(Base).find(1)).toBe('1, read 1');
  });

  it('two methods of one name and key do not; the log says once what to write', async () => {
    const books = app.get(Books);
    expect([await books.findOrFail(1), await books.findOrFail(2)]).toEqual([101, 202]);
    expect([await books.find(1), books.reads]).toEqual([101, 2]);
    expect(warnings.texts).toEqual([
      expect.stringMatching(
        /^Books\.find: it was called, under the same name.*Give one of the two/,
      ),
    ]);
  });

  it('50 callers at once still run it once', async () => {
    const books = app.get(Books);
    const found = await Promise.all(Array.from({ length: 50 }, () => books.findOrFail(7)));
    expect([new Set(found), books.reads]).toEqual([new Set([701]), 1]);
  });

  it('another key, or the same one in another scope, is cached on the way', async () => {
    const books = app.get(Books);
    expect([await books.fibonacci(20), books.reads]).toEqual([6765, 21]);
    expect(await books.ofOrg('a', 'b')).toBe('a below b');
    expect([await books.ofOrg('b'), books.reads]).toEqual(['b', 23]);
    expect(warnings.texts).toEqual([]);
  });

  it('what a load leaves behind is part of it no longer when it is over', async () => {
    const books = app.get(Books);
    expect(await books.background()).toBe(1);
    expect([await books.later, warnings.texts]).toEqual([1, []]);
    expect(app.get(CacheService).loadsUnderWay).toBe(0);
  });
});
