import {
  Controller,
  createParamDecorator,
  Get,
  Injectable,
  Inject,
  Query,
  Scope,
  Session,
  UseGuards,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { Cacheable, CacheKey } from 'nestjs-scoped-cache';
import { ADAPTERS, startApp, type RunningApp } from '../support/nest/start-app.js';
import { spyOnWarnings } from '../support/nest/warnings.js';

class Tenant {
  constructor(readonly name: string) {}
}

const CurrentTenant = createParamDecorator(
  (_data: unknown, execution: ExecutionContext) =>
    new Tenant(
      String(
        execution.switchToHttp().getRequest<{ headers: Record<string, unknown> }>().headers[
          'x-tenant'
        ],
      ),
    ),
);

const TenantName = createParamDecorator((_data: unknown, execution: ExecutionContext) =>
  String(
    execution.switchToHttp().getRequest<{ headers: Record<string, unknown> }>().headers['x-tenant'],
  ),
);

/** Puts a query on a request whose URL has none, as middleware that decodes signed links does. */
@Injectable()
class QueryFromHeader implements CanActivate {
  canActivate(execution: ExecutionContext): boolean {
    const request = execution.switchToHttp().getRequest<{ headers: Record<string, unknown> }>();
    const page = request.headers['x-page'];
    if (page !== undefined)
      Object.defineProperty(request, 'query', { value: { page }, configurable: true });
    return true;
  }
}

let runs = 0;

@Controller('t')
class Tenants {
  @Get('shared')
  @Cacheable({ scope: 'org' })
  shared(@Query('page') _page: string, @CurrentTenant() tenant: Tenant): string {
    return `${tenant.name} ${++runs}`;
  }
  @Get('own')
  @Cacheable({ scope: 'user' })
  own(@CurrentTenant() tenant: Tenant): string {
    return `${tenant.name} ${++runs}`;
  }
  @Get('keyed')
  @Cacheable({ scope: 'org', key: ({ args: [tenant] }) => (tenant as Tenant).name })
  keyed(@CurrentTenant() tenant: Tenant): string {
    return `${tenant.name} ${++runs}`;
  }
  @Get('pages')
  @UseGuards(QueryFromHeader)
  @Cacheable({ scope: 'global' })
  pages(@Query('page') page: string): string {
    return `${page} ${++runs}`;
  }
  @Get('marked')
  @Cacheable({ scope: 'org' })
  marked(@CacheKey() @TenantName() name: string): string {
    return `${name} ${++runs}`;
  }
}

/** Its handlers find in the injected request what others declare as parameters. */
@Controller({ path: 'bare', scope: Scope.REQUEST })
class Bare {
  constructor(
    @Inject(REQUEST)
    readonly request: {
      readonly params: { readonly id: string };
      readonly user?: { readonly id: string };
    },
  ) {}

  @Get('by-id/:id')
  @Cacheable({ scope: 'global' })
  byId(suffix = ''): string {
    return `${this.request.params.id}${suffix}`;
  }
  @Cacheable()
  @Get('omitted')
  omitted(suffix = ''): string {
    return `${this.request.user?.id}${suffix}`;
  }
}

describe.each(ADAPTERS)('a handler whose parameters have no decorators on %s', (adapter) => {
  let app: RunningApp;
  beforeAll(async () => {
    app = await startApp(adapter, { controllers: [Bare] });
  });
  afterAll(() => app.close());

  it('P4 the route parameters are in its key all the same', async () => {
    const ask = (id: string) => app.get(`/bare/by-id/${id}`);
    expect([(await ask('a')).body, (await ask('b')).body]).toEqual(['a', 'b']);
    expect((await ask('a')).cache).toContain('hit');
  });

  it('P3 an omitted scope is not global for it by accident', async () => {
    const ask = async (id: string) => (await app.get('/bare/omitted', { id, orgId: 'o' })).body;
    expect([await ask('a'), await ask('b')]).toEqual(['a', 'b']);
  });
});

interface Visit {
  readonly id: string;
}

@Controller('cart')
class Cart {
  @Get('shared')
  @Cacheable()
  shared(@Session() { id }: Visit): string {
    return `${id} ${++runs}`;
  }
  @Get('own')
  @Cacheable({ scope: 'session' })
  own(@Session() { id }: Visit): string {
    return `${id} ${++runs}`;
  }
  @Get('keyed')
  @Cacheable({ scope: 'global', key: ({ session }) => (session as Visit).id })
  keyed(@Session() { id }: Visit): string {
    return `${id} ${++runs}`;
  }
}

describe.each(ADAPTERS)('@Session() on %s', (adapter) => {
  const warnings = spyOnWarnings();
  let app: RunningApp;
  const ask = (route: string, visitor: string) =>
    app.get(`/cart/${route}`, undefined, { headers: { 'x-visitor': visitor } });

  beforeAll(async () => {
    app = await startApp(adapter, {
      controllers: [Cart],
      cache: { scopes: ['session'] },
      prepare: (nest) =>
        nest.useGlobalGuards({
          canActivate(execution: ExecutionContext): boolean {
            const request = execution.switchToHttp().getRequest<{
              headers: Record<string, string>;
              session: Visit;
            }>();
            request.session = { id: request.headers['x-visitor']! };
            return true;
          },
        }),
    });
  });
  afterAll(() => app.close());

  it('P3 visitors without a user do not share what is made of their sessions; one warning says why', async () => {
    warnings.clear();
    const answers = [await ask('shared', 'a'), await ask('shared', 'b')];
    expect(answers.map(({ body }) => (body as string)[0])).toEqual(['a', 'b']);
    expect(answers[0]!.cache).toBe('nestjs-scoped-cache; fwd=bypass; detail=unkeyed-input');
    expect(warnings.texts).toHaveLength(1);
    expect(warnings.texts[0]).toMatch(/Cart\.shared: it takes @Session\(\).*scope: 'session'/);
  });

  it.each(['own', 'keyed'])('%s: each visitor is served from the cache', async (route) => {
    const first = [await ask(route, 'a'), await ask(route, 'b')].map(({ body }) => body as string);
    const second = [await ask(route, 'a'), await ask(route, 'b')].map(({ body }) => body as string);
    expect(first.map((body) => body[0])).toEqual(['a', 'b']);
    expect(second).toEqual(first);
  });
});

describe.each(ADAPTERS)('parameter decorators of the application on %s', (adapter) => {
  const warnings = spyOnWarnings();
  let app: RunningApp;

  beforeAll(async () => {
    warnings.clear();
    app = await startApp(adapter, { controllers: [Tenants] });
  });
  afterAll(() => app.close());

  it('one warning for each handler whose default key does not hold one, in a scope that several users share', () => {
    const said = warnings.texts.filter((text) => text.includes('parameter decorator'));
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(
      /^Tenants\.shared: its parameter 2 \(Tenant\) .*"org".*@CacheKey\(\).*"key"/,
    );
  });

  it.each(['keyed', 'marked'])('%s by it, each value has an entry of its own', async (route) => {
    const user = { id: 'u', orgId: 'o' };
    const ask = async (tenant: string) =>
      (await app.get(`/t/${route}`, user, { headers: { 'x-tenant': tenant } })).body as string;
    const [one, other] = [await ask('a'), await ask('b')];
    expect([one.slice(0, 1), other.slice(0, 1)]).toEqual(['a', 'b']);
    expect([await ask('a'), await ask('b')]).toEqual([one, other]);
  });

  it('P4 a query is in the key, also one that others put on a request whose URL has none', async () => {
    const ask = async (path: string, page?: string) =>
      (await app.get(path, undefined, page === undefined ? {} : { headers: { 'x-page': page } }))
        .body as string;
    const paths = [
      ['/t/pages'],
      ['/t/pages?page=1'],
      ['/t/pages', 'a'],
      ['/t/pages', 'b'],
    ] as const;
    const pages: string[] = [];
    for (const [path, page] of paths) pages.push(await ask(path, page));
    expect(pages.map((page) => page.split(' ')[0])).toEqual(['undefined', '1', 'a', 'b']);
    for (const [at, [path, page]] of paths.entries()) expect(await ask(path, page)).toBe(pages[at]);
  });
});

/** A handler as compilers leave it that emit no types (esbuild, so tsx and Vite), decorated by hand. */
function withoutTypes(): new () => object {
  class Untyped {
    list(page = 'first', words = 'none'): object {
      return { page, words, run: ++runs };
    }
  }
  const { prototype } = Untyped;
  Query('page')(prototype, 'list', 0);
  Query('words')(prototype, 'list', 1);
  const descriptor = Object.getOwnPropertyDescriptor(prototype, 'list')!;
  Cacheable()(prototype, 'list', descriptor);
  Object.defineProperty(prototype, 'list', descriptor);
  Get()(prototype, 'list', descriptor);
  Controller('untyped')(Untyped);
  return Untyped;
}

it.each(ADAPTERS)(
  '%s: parameters with defaults arrive also where the compiler emits no types',
  async (adapter) => {
    runs = 0;
    const app = await startApp(adapter, { controllers: [withoutTypes()] });
    const path = '/untyped?page=2&words=red';
    expect((await app.get(path)).body).toEqual({ page: '2', words: 'red', run: 1 });
    expect((await app.get(path)).body).toEqual({ page: '2', words: 'red', run: 1 });
    expect((await app.get('/untyped')).body).toEqual({ page: 'first', words: 'none', run: 2 });
    await app.close();
  },
);
