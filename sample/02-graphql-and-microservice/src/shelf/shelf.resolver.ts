import { Args, Context, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Cacheable, CacheConfig, CacheEvict } from 'nestjs-scoped-cache';
import { Database } from '../database.js';

interface GraphContext {
  readonly req: { readonly user?: { readonly id: string } };
}

/** Each user has a shelf. Without a user, both methods run uncached and the shelf is empty. */
@Resolver()
@CacheConfig({ name: 'shelf', scope: 'user' })
export class ShelfResolver {
  constructor(private readonly database: Database) {}

  @Query(() => [ID])
  @Cacheable({ key: 'all' })
  async shelf(@Context() { req }: GraphContext): Promise<string[]> {
    return req.user ? this.database.shelf(req.user.id) : [];
  }

  @Mutation(() => Boolean)
  @CacheEvict({ key: 'all' })
  putOnShelf(
    @Args('bookId', { type: () => ID }) bookId: string,
    @Context() { req }: GraphContext,
  ): boolean {
    if (req.user) this.database.put(req.user.id, bookId);
    return req.user !== undefined;
  }
}
