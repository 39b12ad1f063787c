import { Controller, Get, Inject, Injectable, Param, Put, Query, Scope } from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { Cacheable, CacheEvict } from 'nestjs-scoped-cache';
import { ADAPTERS, startApp, type RunningApp } from '../support/nest/start-app.js';
import { spyOnWarnings } from '../support/nest/warnings.js';

let runs = 0;

@Controller('profile')
class ProfileController {
  @Get()
  @Cacheable({ name: 'profile', scope: 'user', ttl: 60, query: [] })
  mine(): object {
    return { run: ++runs };
  }

  @Get('keyed')
  @Cacheable({ scope: 'user', key: ({ user }) => user.id })
  keyed(): object {
    return { run: ++runs };
  }

  @Get('org')
  @Cacheable({ scope: 'org' })
  ofOrg(): object {
    return { run: ++runs };
  }

  @Get('omitted')
  @Cacheable()
  omitted(): object {
    return { run: ++runs };
  }

  @Get('global/:id')
  @Cacheable({ scope: 'global' })
  global(@Param('id') id: string, @Query() query: object): object {
    return { id, query: { ...query }, run: ++runs };
  }

  @Put()
  @CacheEvict({ name: 'profile', scope: 'user', allEntries: true })
  change(): object {
    return {};
  }
}

@Injectable({ scope: Scope.REQUEST })
class OwnNumbers {
  constructor(@Inject(REQUEST) readonly request: { readonly user?: { readonly id: string } }) {}

  @Cacheable()
  omitted(): object {
    return { of: this.request.user?.id ?? null, run: ++runs };
  }

  @Cacheable({ scope: 'global' })
  global(): object {
    return { run: ++runs };
  }
}

/** Made for each request because of what it is given. */
@Injectable()
class AboveOwnNumbers {
  constructor(readonly numbers: OwnNumbers) {}

  @Cacheable()
  omitted(): unknown {
    return this.numbers.omitted();
  }
}

@Controller('numbers')
class NumbersController {
  constructor(
    readonly numbers: OwnNumbers,
    readonly above: AboveOwnNumbers,
  ) {}
  @Get('omitted') omitted(): unknown {
    return this.numbers.omitted();
  }
  @Get('above') aboveOmitted(): unknown {
    return this.above.omitted();
  }
  @Get('global') global(): unknown {
    return this.numbers.global();
  }
}

describe.each(ADAPTERS)('scoped handlers on %s', (adapter) => {
  let app: RunningApp;
  const warnings = spyOnWarnings();
  const ann = { id: 'ann', orgId: 'o1' };
  const annOfAnother = { id: 'ann', orgId: 'o2' };

  beforeEach(async () => {
    runs = 0;
    warnings.clear();
    app = await startApp(adapter, {
      controllers: [ProfileController, NumbersController],
      providers: [OwnNumbers, AboveOwnNumbers],
    });
  });
  afterEach(() => app.close());

  it('P1: the same user id in another organization is another user', async () => {
    const first = await app.get('/profile', ann);
    const second = await app.get('/profile', ann);
    const foreign = await app.get('/profile', annOfAnother);
    expect(first.cache).toBe('nestjs-scoped-cache; fwd=miss; stored');
    expect(second.cache).toMatch(/^nestjs-scoped-cache; hit; ttl=(59|60)$/);
    expect([first.body, second.body, foreign.body]).toEqual([{ run: 1 }, { run: 1 }, { run: 2 }]);
  });

  it('P2: ids in headers, query and body change nothing', async () => {
    await app.get('/profile', ann);
    const spoofed = await app.get(
      '/profile?userId=bob&orgId=o9',
      { id: 'eve', orgId: 'o1' },
      {
        headers: { 'x-user-id': 'ann', 'x-org-id': 'o1', userid: 'ann' },
      },
    );
    expect(spoofed.body).toEqual({ run: 2 });
  });

  it('P3: a missing id runs the handler uncached and warns once, naming level, fields and remedy', async () => {
    const answers = [await app.get('/profile'), await app.get('/profile')];
    expect(answers.map(({ body }) => body.run)).toEqual([1, 2]);
    expect(answers[0]!.cache).toBe('nestjs-scoped-cache; fwd=bypass; detail=missing-org');
    expect(warnings.texts).toHaveLength(1);
    expect(warnings.texts[0]).toMatch(
      /ProfileController\.mine.*org id.*request\.user\.orgId.*runInScope/s,
    );
  });

  it('P3: an omitted scope is shared by anonymous requests only', async () => {
    await app.get('/profile/omitted');
    const anonymous = await app.get('/profile/omitted');
    const known = await app.get('/profile/omitted', ann);
    expect(anonymous.cache).toContain('hit');
    expect(known.cache).toBe('nestjs-scoped-cache; fwd=bypass; detail=scope-omitted');
    expect([anonymous.body.run, known.body.run]).toEqual([1, 2]);
    expect(warnings.texts.join()).toMatch(/scope: 'global'/);
  });

  it('P3: an Authorization header that no guard understood counts as a user', async () => {
    await app.get('/profile/omitted');
    const answer = await app.get('/profile/omitted', undefined, {
      headers: { authorization: 'Basic eA==' },
    });
    expect(answer.cache).toContain('scope-omitted');
  });

  it.each(['omitted', 'above'])(
    'P3: an omitted scope on a provider that is made for each request is shared by anonymous requests only: %s',
    async (route) => {
      const ask = async (user?: object) => (await app.get(`/numbers/${route}`, user)).body;
      expect([await ask(), await ask()]).toEqual([
        { of: null, run: 1 },
        { of: null, run: 1 },
      ]);
      expect(await ask(ann)).toEqual({ of: 'ann', run: 2 });
      expect(await ask({ id: 'bob', orgId: 'o1' })).toEqual({ of: 'bob', run: 3 });
      expect(warnings.texts.join()).toMatch(/Numbers\.omitted.*no scope says who may share/);
    },
  );

  it('P3 a missing id is told before a key function asks for the user who is not there', async () => {
    const answers = [await app.get('/profile/keyed'), await app.get('/profile/keyed')];
    expect(answers.map(({ status, cache }) => [status, cache])).toEqual([
      [200, 'nestjs-scoped-cache; fwd=bypass; detail=missing-org'],
      [200, 'nestjs-scoped-cache; fwd=bypass; detail=missing-org'],
    ]);
    await app.get('/profile/keyed', ann);
    expect((await app.get('/profile/keyed', ann)).cache).toContain('hit');
  });

  it('such a provider shares what it says is for all', async () => {
    await app.get('/numbers/global', ann);
    expect((await app.get('/numbers/global', annOfAnother)).body).toEqual({ run: 1 });
  });

  it('P4: route parameters and query tell calls apart, whatever the order of the query', async () => {
    const first = await app.get('/profile/global/1?a=1&b=2');
    const reordered = await app.get('/profile/global/1?b=2&a=1');
    const other = await app.get('/profile/global/1?a=1&b=3');
    const another = await app.get('/profile/global/2?a=1&b=2');
    expect([first, reordered, other, another].map(({ body }) => body.run)).toEqual([1, 1, 2, 3]);
  });

  it('evicts for the user who changed something, and for nobody else', async () => {
    const bob = { id: 'bob', orgId: 'o1' };
    await app.get('/profile', ann);
    await app.get('/profile', bob);
    await app.send('PUT', '/profile', ann);
    expect((await app.get('/profile', bob)).cache).toContain('hit');
    expect((await app.get('/profile', ann)).cache).toContain('fwd=miss');
  });

  it('members of an organization share what is cached for it', async () => {
    await app.get('/profile/org', ann);
    const other = await app.get('/profile/org', { id: 'bob', orgId: 'o1' });
    const foreign = await app.get('/profile/org', annOfAnother);
    expect([other.body.run, foreign.body.run]).toEqual([1, 2]);
  });
});
