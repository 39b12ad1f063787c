/* oxlint-disable typescript/no-explicit-any -- contexts and answers of other packages */
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import type { CanActivate, ExecutionContext, INestApplication } from '@nestjs/common';
import {
  Args,
  Context,
  Field,
  GraphQLModule,
  ID,
  Info,
  Int,
  Mutation,
  ObjectType,
  Parent,
  Query,
  ResolveField,
  Resolver,
  Subscription,
} from '@nestjs/graphql';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { Cacheable, CacheEvict, CacheModule, CacheService } from 'nestjs-scoped-cache';
import { ADAPTERS, tokenOf } from '../support/nest/start-app.js';
import { spyOnWarnings } from '../support/nest/warnings.js';

let runs = 0;

@ObjectType()
class Book {
  @Field(() => ID) id!: string;
  @Field(() => Int) run!: number;
}

@Resolver(() => Book)
class BookResolver {
  constructor(readonly cache: CacheService) {}

  @Query(() => Book)
  @Cacheable({ name: 'book', scope: 'user', key: '{args.0}', type: () => Book })
  book(@Args('id', { type: () => ID }) id: string): Book {
    return Object.assign(new Book(), { id, run: ++runs });
  }

  @Query(() => Int)
  @Cacheable({ scope: 'org' })
  count(
    @Args('a', { type: () => Int }) _a: number,
    @Args('b', { type: () => Int }) _b: number,
  ): number {
    return ++runs;
  }

  @Query(() => Int)
  byHand(): Promise<number> {
    return this.cache.getOrSet('by hand', () => ++runs, { scope: 'user' });
  }

  @Query(() => Int)
  @Cacheable({ scope: 'user' })
  withContext(@Context() _context: unknown, @Info() _info: unknown): number {
    return ++runs;
  }

  @Mutation(() => Int)
  @Cacheable({ scope: 'user' })
  unsafe(): number {
    return ++runs;
  }

  @Mutation(() => Boolean)
  @CacheEvict({ name: 'book', scope: 'user', key: '{args.0}' })
  change(@Args('id', { type: () => ID }) _id: string): boolean {
    return true;
  }

  @ResolveField(() => String)
  kind(@Parent() book: object): string {
    return book instanceof Book ? 'a Book' : 'a plain object';
  }

  @ResolveField(() => String)
  @Cacheable({ scope: 'org' })
  title(@Parent() book: Book): string {
    return `${book.id} ${++runs}`;
  }
}

class GraphGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { req } = context.getArgByIndex(2);
    const token = /^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1];
    if (token) req.user = JSON.parse(Buffer.from(token, 'base64url').toString());
    return true;
  }
}

describe.each(ADAPTERS)('GraphQL resolvers on %s', (adapter) => {
  let app: INestApplication;
  let url: string;
  const warnings = spyOnWarnings();
  const ann = { id: 'ann', orgId: 'o1' };
  const bob = { id: 'bob', orgId: 'o2' };

  beforeAll(async () => {
    const module = await Test.createTestingModule({
      imports: [
        CacheModule.forRoot(),
        GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true }),
      ],
      providers: [BookResolver],
    }).compile();
    const platform = adapter === 'express' ? new ExpressAdapter() : new FastifyAdapter();
    app = module.createNestApplication(platform as never, {
      logger: false,
      forceCloseConnections: true,
    });
    app.setGlobalPrefix('api');
    app.useGlobalGuards(new GraphGuard());
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  });
  beforeEach(async () => {
    runs = 0;
    warnings.clear();
    await app.get(CacheService).clear();
  });
  afterAll(() => app.close());

  const ask = async (query: string, user?: object): Promise<any> => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(user && { authorization: tokenOf(user) }),
      },
      body: JSON.stringify({ query }),
    });
    const { data, errors } = (await response.json()) as any;
    if (errors) throw new Error(JSON.stringify(errors));
    expect(response.headers.get('cache-status')).toBeNull();
    return data;
  };

  it('P1: queries are cached by arguments for each user, and come back as their class', async () => {
    const book = async (user: object, id = '1') =>
      (await ask(`{ book(id: "${id}") { id run } }`, user)).book.run;
    expect([await book(ann), await book(ann), await book(ann, '2'), await book(bob)]).toEqual([
      1, 1, 2, 3,
    ]);
    const kind = async () => (await ask('{ book(id: "1") { kind } }', ann)).book.kind;
    expect([await kind(), runs]).toEqual(['a Book', 3]);
    await ask('mutation { change(id: "1") }', ann);
    expect([await book(ann), await book(ann, '2'), await book(bob)]).toEqual([4, 2, 3]);
  });

  it('P4: the default key is the arguments, whatever their order', async () => {
    const count = async (args: string) => (await ask(`{ count(${args}) }`, ann)).count;
    expect([
      await count('a: 1, b: 2'),
      await count('b: 2, a: 1'),
      await count('a: 2, b: 1'),
    ]).toEqual([1, 1, 2]);
  });

  it('a field belongs to its object', async () => {
    const titles = async () =>
      ask('{ one: book(id: "1") { title } two: book(id: "2") { title } }', ann);
    const first = await titles();
    expect(first.one.title).not.toBe(first.two.title);
    expect(await titles()).toEqual(first);
  });

  it('resolvers find the ids of their request, also outside of the global prefix', async () => {
    const byHand = async (user: object) => (await ask('{ byHand }', user)).byHand;
    expect([await byHand(ann), await byHand(ann), await byHand(bob)]).toEqual([1, 1, 2]);
  });

  it('@Context() and @Info() are no response that a handler answers by itself', async () => {
    const withContext = async (user: object) => (await ask('{ withContext }', user)).withContext;
    expect([await withContext(ann), await withContext(ann), await withContext(bob)]).toEqual([
      1, 1, 2,
    ]);
    expect(warnings.texts).toEqual([]);
  });

  it('a subscription, whose results never complete, is an error at start-up', async () => {
    @Resolver()
    class Feed {
      @Subscription(() => Int)
      @Cacheable({ scope: 'global' })
      numbers(): unknown {
        return {};
      }
    }
    const module = Test.createTestingModule({
      imports: [CacheModule.forRoot()],
      providers: [Feed],
    });
    const starting = module.compile().then((one) => one.init());
    await expect(starting).rejects.toThrow(/Feed\.numbers has @Subscription\(\)/);
  });

  it('mutations are cached only with a key', async () => {
    const unsafe = async () => (await ask('mutation { unsafe }', ann)).unsafe;
    expect([await unsafe(), await unsafe()]).toEqual([1, 2]);
    expect(warnings.texts.join()).toMatch(/BookResolver\.unsafe.*mutation/);
  });

  it('P3: without a user the resolver runs uncached', async () => {
    const book = async () => (await ask('{ book(id: "1") { run } }')).book.run;
    expect([await book(), await book()]).toEqual([1, 2]);
  });
});
