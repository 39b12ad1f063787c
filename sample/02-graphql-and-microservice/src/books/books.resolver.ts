import { Inject } from '@nestjs/common';
import { Args, ID, Int, Mutation, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { ClientProxy } from '@nestjs/microservices';
import { Cacheable } from 'nestjs-scoped-cache';
import { firstValueFrom } from 'rxjs';
import { Database } from '../database.js';
import { WAREHOUSE } from '../warehouse/warehouse.js';
import { Book } from './book.js';

@Resolver(() => Book)
export class BooksResolver {
  constructor(
    private readonly database: Database,
    @Inject(WAREHOUSE) private readonly warehouse: ClientProxy,
  ) {}

  /** The same for everybody. `type` makes a hit come back as instances of the class. */
  @Query(() => [Book])
  @Cacheable({ scope: 'global', type: () => Book })
  async books(): Promise<Book[]> {
    return (await this.database.books()).map((row) => Object.assign(new Book(), row));
  }

  /** A field resolver. Two books of one author share an entry: the key says what matters. */
  @ResolveField(() => String)
  @Cacheable({ scope: 'global', ttl: '1h', key: ({ args: [book] }) => (book as Book).authorId })
  author(@Parent() book: Book): Promise<string> {
    return this.database.author(book.authorId);
  }

  /** Asks the microservice, which caches on its side. */
  @ResolveField(() => Int)
  inStock(@Parent() book: Book): Promise<number> {
    return firstValueFrom(this.warehouse.send<number>('stock', book.id));
  }

  /** A mutation is never cached. The warehouse tells by an event what it has changed. */
  @Mutation(() => Boolean)
  order(@Args('bookId', { type: () => ID }) bookId: string): Promise<boolean> {
    return firstValueFrom(this.warehouse.send<boolean>('take', bookId));
  }

  @Query(() => Int)
  databaseReads(): number {
    return this.database.reads;
  }
}
