import { Injectable } from '@nestjs/common';
import { Cacheable, CacheConfig, CacheEvict, CachePut, Caching } from 'nestjs-scoped-cache';
import { Database, type Product } from '../database.js';

/** All entries belong to the organization that a job or request works for; their names begin alike. */
@Injectable()
@CacheConfig({ name: 'product', scope: ({ args: [org] }) => ({ org: org as string }) })
export class ProductsService {
  constructor(private readonly database: Database) {}

  /** A key template: literal text, and paths into the call. The result names its tags. */
  @Cacheable({
    key: 'id:{args.1}',
    tags: ({ result }) => (result ? [`category:${(result as Product).category}`] : []),
  })
  find(org: string, id: string): Promise<Product | undefined> {
    return this.database.product(org, id);
  }

  /** A call through `this` is cached as well: the decorator replaces the method itself. */
  async findAll(org: string, ids: readonly string[]): Promise<(Product | undefined)[]> {
    return Promise.all(ids.map((id) => this.find(org, id)));
  }

  @Cacheable({ name: 'category', key: '{args.1}', tags: ({ args }) => [`category:${args[1]}`] })
  inCategory(org: string, category: string): Promise<Product[]> {
    return this.database.products(org, category);
  }

  /** Stores what it returns under the key of `find`, and evicts the lists that show it. */
  @Caching({
    put: [
      {
        key: 'id:{result.id}',
        tags: ({ result }) => [`category:${(result as Product).category}`],
      },
    ],
    evict: [{ name: 'category', key: '{result.category}' }],
  })
  async rename(org: string, id: string, name: string): Promise<Product> {
    const product = await this.database.product(org, id);
    if (!product) throw new Error(`There is no product ${id}.`);
    return this.database.save(org, { ...product, name });
  }

  /** A put by itself. Not stored: what nobody may see yet. */
  @CachePut({ key: 'id:{result.id}', unless: ({ result }) => (result as Product).name === 'draft' })
  add(org: string, product: Product): Product {
    return this.database.save(org, product);
  }

  /** One tag, whatever carries it: products and lists alike. */
  @CacheEvict({ tags: ({ args }) => [`category:${args[1]}`] })
  closeCategory(_org: string, _category: string): void {}

  @Caching({
    evict: [{ key: 'id:{args.1}' }, { name: 'category', allEntries: true }],
  })
  remove(org: string, id: string): void {
    this.database.remove(org, id);
  }
}
