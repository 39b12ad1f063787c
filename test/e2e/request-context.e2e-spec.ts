/* oxlint-disable typescript/no-explicit-any -- frameworks' requests and parsed answers */
import {
  Body,
  Controller,
  Get,
  Injectable,
  Param,
  Post,
  Req,
  Scope,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { jest } from '@jest/globals';
import session from 'express-session';
import { Cacheable, CacheEvict, CacheService } from 'nestjs-scoped-cache';
import { ADAPTERS, startApp, type RunningApp } from '../support/nest/start-app.js';
import { spyOnWarnings } from '../support/nest/warnings.js';

const pause = (ms = 1) => new Promise((resolve) => setTimeout(resolve, ms));

@Injectable()
class Orders {
  calls = 0;
  constructor(readonly cache: CacheService) {}

  @Cacheable({ scope: 'user' })
  async mine(user: string): Promise<object> {
    this.calls++;
    await pause();
    return { user };
  }

  remember(value: string): Promise<void> {
    return this.cache.set('note', value, { scope: 'user' });
  }
}

@Injectable({ scope: Scope.REQUEST })
class RequestOrders {
  @Cacheable({ scope: 'user' })
  async mine(user: string): Promise<object> {
    await pause();
    return { user };
  }
}

/** Authenticates, and uses the cache with the identity it has just established. */
@Injectable()
class CountingGuard implements CanActivate {
  constructor(readonly cache: CacheService) {}
  async canActivate(context: ExecutionContext): Promise<boolean> {
    await pause();
    const request = context.switchToHttp().getRequest();
    if (!request.user) return true;
    await pause();
    await this.cache.increment('visits', { scope: 'user' });
    return true;
  }
}

let release: (() => void) | undefined;
let slowRuns = 0;

@Controller('u')
class UserController {
  constructor(
    readonly orders: Orders,
    readonly perRequest: RequestOrders,
    readonly cache: CacheService,
  ) {}

  @Get('handler/:n') @Cacheable({ scope: 'user' }) async handler(
    @Req() request: any,
    @Param('n') n: string,
  ): Promise<object> {
    await pause(2);
    return { user: request.user.id, org: request.user.orgId, n };
  }
  @Get('provider/:n') provider(@Req() request: any): Promise<object> {
    return this.orders.mine(request.user.id);
  }
  @Get('request-scoped/:n') requestScoped(@Req() request: any): Promise<object> {
    return this.perRequest.mine(request.user.id);
  }
  @Get('service/:n') async service(@Req() request: any, @Param('n') n: string): Promise<object> {
    return this.cache.getOrSet(
      ['by-hand', n],
      async () => (await pause(), { user: request.user.id }),
      { scope: 'user' },
    );
  }
  @Get('visits') visits(): Promise<unknown> {
    return this.cache.get('visits', { scope: 'user' });
  }
  @Post('note') async note(@Body() body: any): Promise<object> {
    await this.orders.remember(body.text);
    return { note: await this.cache.get('note', { scope: 'user' }) };
  }
  @Get('slow') @Cacheable({ name: 'slow', scope: 'user' }) async slow(): Promise<object> {
    const run = ++slowRuns;
    if (run === 1) await new Promise<void>((resolve) => (release = resolve));
    return { run };
  }
  @Post('slow') @CacheEvict({ name: 'slow', scope: 'user', allEntries: true }) changeSlow(): void {}
}

@Controller('s')
class SessionController {
  @Get('login/:user') login(@Req() request: any, @Param('user') user: string): object {
    (request.raw ?? request).session.user = user;
    return { user };
  }
  @Get('draft') @Cacheable({ scope: 'session' }) draft(@Req() request: any): object {
    return { session: (request.raw ?? request).sessionID };
  }
  @Post('logout') @CacheEvict({ scope: 'session', allEntries: true }) async logout(
    @Req() request: any,
  ): Promise<object> {
    const raw = request.raw ?? request;
    const id = raw.sessionID;
    await new Promise((resolve) => raw.session.destroy(resolve));
    raw.sessionID = undefined;
    request.user = undefined;
    return { id };
  }
}

// Hundreds of requests at once, on machines that do other things too.
jest.setTimeout(30_000);

describe.each(ADAPTERS)('the request context on %s', (adapter) => {
  let app: RunningApp;
  const warnings = spyOnWarnings();

  beforeAll(async () => {
    app = await startApp(adapter, {
      controllers: [UserController, SessionController],
      providers: [Orders, RequestOrders, CountingGuard],
      prepare: (nest) => {
        nest.use(session({ secret: 'x', resave: false, saveUninitialized: false }));
        nest.useGlobalGuards(nest.get(CountingGuard));
      },
    });
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    warnings.clear();
    slowRuns = 0;
    await app.cache.clear();
  });

  const ann = { id: 'ann', orgId: 'o1' };

  it('pain point 33: a guard, a provider and a body-parsing handler see the user of their request', async () => {
    await app.get('/u/visits', ann);
    expect((await app.get('/u/visits', ann)).body).toBe(2);
    const body = JSON.stringify({ text: 'x'.repeat(20_000) });
    const noted = await app.send('POST', '/u/note', ann, {
      body,
      headers: { 'content-type': 'application/json' },
    });
    expect(noted.body.note).toHaveLength(20_000);
    expect(await app.cache.get('note', { scope: { org: 'o1', user: 'ann' } })).toHaveLength(20_000);
  });

  it('P1 P2: 400 concurrent requests of 20 users, some aborted midway, each get their own answer', async () => {
    const users = Array.from({ length: 20 }, (_, at) => ({
      id: `u${at % 10}`,
      orgId: `o${Math.floor(at / 10)}`,
    }));
    const routes = ['handler', 'provider', 'request-scoped', 'service'];
    const aborted: Promise<unknown>[] = [];
    const wanted = Array.from({ length: 400 }, async (_, at) => {
      const user = users[(at * 7) % users.length]!;
      const path = `/u/${routes[at % routes.length]}/${at % 3}`;
      if (at % 5 === 0) {
        const controller = new AbortController();
        aborted.push(app.get(path, user, { signal: controller.signal }).catch(() => undefined));
        setTimeout(() => controller.abort(), at % 4);
      }
      const answer = await app.get(path, user);
      return [answer.body.user, answer.body.org ?? user.orgId, user.id, user.orgId] as const;
    });
    for (const [user, org, id, orgId] of await Promise.all(wanted))
      expect([user, org]).toEqual([id, orgId]);
    await Promise.all(aborted);
    while (app.cache.loadsUnderWay > 0) await pause();
    expect((await app.cache.stats()).hits).toBeGreaterThan(100);
    for (const { id, orgId } of users)
      for await (const { value } of app.cache.entries({ scope: { org: orgId, user: id } }))
        if (typeof value === 'object') expect(value).toHaveProperty('user', id);
  });

  it('200 aborted requests for one key do not poison it', async () => {
    const abandoned = Array.from({ length: 200 }, async () => {
      const controller = new AbortController();
      const request = app
        .get('/u/handler/poison', ann, { signal: controller.signal })
        .catch(() => undefined);
      setTimeout(() => controller.abort(), 1);
      await request;
    });
    await Promise.all(abandoned);
    const answer = await app.get('/u/handler/poison', ann);
    expect([answer.status, answer.body]).toEqual([200, { user: 'ann', org: 'o1', n: 'poison' }]);
  });

  it('P5: what a slow handler read before an eviction is answered to its own caller and never stored', async () => {
    const first = app.get('/u/slow', ann);
    while (!release) await pause();
    await app.send('POST', '/u/slow', ann);
    const second = app.get('/u/slow', ann);
    await pause(5);
    release!();
    expect([(await first).body.run, (await second).body.run]).toEqual([1, 2]);
    expect((await app.get('/u/slow', ann)).body.run).toBe(2);
    release = undefined;
  });

  it('a session has entries of its own, which logging out evicts', async () => {
    const login = await app.get('/s/login/ann', ann);
    const cookie = login.headers.get('set-cookie')!.split(';')[0]!;
    const inSession = () => app.get('/s/draft', ann, { headers: { cookie } });
    const first = await inSession();
    expect((await inSession()).body).toEqual(first.body);
    const other = (await app.get('/s/login/ann', ann)).headers.get('set-cookie')!.split(';')[0]!;
    const elsewhere = await app.get('/s/draft', ann, { headers: { cookie: other } });
    expect(elsewhere.body.session).not.toBe(first.body.session);
    const { body } = await app.send('POST', '/s/logout', ann, { headers: { cookie } });
    expect(await app.cache.size({ scope: { org: 'o1', user: 'ann', session: body.id } })).toBe(0);
    expect(
      await app.cache.size({ scope: { org: 'o1', user: 'ann', session: elsewhere.body.session } }),
    ).toBe(1);
    expect(warnings.texts).toEqual([]);
  });
});
