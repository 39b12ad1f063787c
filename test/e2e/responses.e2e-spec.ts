/* oxlint-disable typescript/no-explicit-any -- frameworks' requests and parsed answers */
import { Readable } from 'node:stream';
import {
  Body,
  ClassSerializerInterceptor,
  Controller,
  Get,
  Header,
  Headers,
  HttpCode,
  Ip,
  NotFoundException,
  Post,
  Put,
  Query,
  Redirect,
  Res,
  StreamableFile,
  UseInterceptors,
  type INestApplication,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { Exclude, Expose } from 'class-transformer';
import { of } from 'rxjs';
import { Cacheable, CacheEvict, CachePut } from 'nestjs-scoped-cache';
import { ADAPTERS, startApp, type RunningApp } from '../support/nest/start-app.js';
import { spyOnWarnings } from '../support/nest/warnings.js';

class Person {
  constructor(
    public name: string,
    password: string,
  ) {
    this.password = password;
  }
  @Exclude() password: string;
  @Expose() get greeting(): string {
    return `I am ${this.name}`;
  }
}

class Unknown extends Person {}

let runs = 0;
const shared = { scope: 'global' } as const;

@Controller('r')
class ResponseController {
  @Get('falsy/undefined') @Cacheable(shared) undefinedResult(): undefined {
    runs++;
  }
  @Get('query') @Cacheable(shared) query(@Query() query: object): object {
    runs++;
    return { query };
  }
  @Get('falsy/null') @Cacheable(shared) nullResult(): null {
    runs++;
    return null;
  }
  @Get('falsy/zero') @Cacheable(shared) zero(): number {
    runs++;
    return 0;
  }
  @Get('falsy/false') @Cacheable(shared) no(): boolean {
    runs++;
    return false;
  }
  @Get('falsy/empty') @Cacheable(shared) empty(): string {
    runs++;
    return '';
  }
  @Get('observable') @Cacheable(shared) observable(): unknown {
    runs++;
    return of({ run: 1 }, { run: 2 });
  }
  @Get('error') @Cacheable(shared) error(): never {
    runs++;
    throw new NotFoundException(`run ${runs}`);
  }
  @Get('stream') @Cacheable(shared) stream(): StreamableFile {
    return new StreamableFile(Readable.from([`run ${++runs}`]), { type: 'text/plain' });
  }
  @Get('part') @Cacheable(shared) part(@Res({ passthrough: true }) response: any): object {
    response.status(206);
    return { run: ++runs };
  }
  @Get('refused') @Cacheable({ ...shared, condition: () => false }) refused(): object {
    return { run: ++runs };
  }
  @Get('put-beside')
  @Cacheable({ ...shared, name: 'beside' })
  @CachePut({ ...shared, name: 'put-beside' })
  putBeside(): object {
    return { run: ++runs };
  }
  @Get('fetched') @Cacheable(shared) fetched(): Response {
    return new Response(`run ${++runs}`);
  }
  @Get('sent') @Cacheable(shared) sent(@Res({ passthrough: true }) response: any): object {
    const answer = `sent ${++runs}`;
    if (response.raw) response.send(answer);
    else response.end(answer);
    return { never: 'sent' };
  }
  @Get('res') @Cacheable(shared) res(@Res() response: any): void {
    response.send({ run: ++runs });
  }
  @Get('cookie') @Cacheable(shared) cookie(@Res({ passthrough: true }) response: any): object {
    response.header('set-cookie', 'a=b');
    return { run: ++runs };
  }
  @Get('no-store') @Header('Cache-Control', 'no-store') @Cacheable(shared) noStore(): object {
    return { run: ++runs };
  }
  @Get('private')
  @Header('Cache-Control', 'private, max-age=5')
  @Cacheable(shared)
  privately(): object {
    return { run: ++runs };
  }
  @Get('private-user')
  @Header('Cache-Control', 'private, max-age=5')
  @Cacheable({ scope: 'user' })
  mine(): object {
    return { run: ++runs };
  }
  @Get('gone') @Cacheable(shared) gone(@Res({ passthrough: true }) response: any): object {
    response.status(410);
    return { run: ++runs };
  }
  @Get('vary-star') @Cacheable(shared) varyStar(@Res({ passthrough: true }) response: any): object {
    response.header('vary', 'accept-language');
    return { run: ++runs };
  }
  @Get('headers') @HttpCode(203) @Header('X-Static', 's') @Cacheable(shared) headers(
    @Res({ passthrough: true }) response: any,
  ): object {
    response.header('x-run', String(++runs));
    response.status(202);
    return { run: runs };
  }
  @Get('redirect') @Redirect() @Cacheable(shared) redirect(): object {
    runs++;
    return { url: 'https://example.org/', statusCode: 307 };
  }
  @Get('language') @Cacheable({ ...shared, vary: ['Accept-Language'] }) language(
    @Headers() headers: any,
  ): object {
    return { run: ++runs, language: headers['accept-language'] ?? null };
  }
  @Put('language')
  @CacheEvict({
    ...shared,
    name: 'ResponseController.language',
    key: () => ['/r/language', {}, {}],
  })
  forgetLanguages(): void {}
  @Get('named-header') @Cacheable(shared) named(@Headers('x-poison') poison: string): object {
    return { run: ++runs, poison: poison ?? null };
  }
  @Get('ip') @Cacheable(shared) ip(@Ip() _ip: string): object {
    return { run: ++runs };
  }
  @Get('fat') @Cacheable(shared) fat(@Body() body: any): object {
    return { run: ++runs, body: body ?? null };
  }
  @Post('unsafe') @Cacheable(shared) unsafe(): object {
    return { run: ++runs };
  }
  @Post('search') @HttpCode(200) @Cacheable({ ...shared, key: ({ body }) => [body] }) search(
    @Body() body: object,
  ): object {
    return { run: ++runs, body };
  }
  @Get('put/:id') @Cacheable({ ...shared, name: 'put', key: '{params.id}' }) read(): object {
    return { run: ++runs };
  }
  @Put('put/:id') @CachePut({ ...shared, name: 'put', key: '{params.id}' }) put(
    @Res({ passthrough: true }) response: any,
  ): object {
    response.status(201);
    return { put: true };
  }
  @Get('person') @Cacheable({ ...shared, type: () => Person }) person(): Person {
    runs++;
    return new Person('Ann', 's3cret');
  }
  @Get('untyped') @Cacheable(shared) untyped(): Unknown {
    runs++;
    return new Unknown('Ann', 's3cret');
  }
}

@Controller('own')
@UseInterceptors(ClassSerializerInterceptor)
class SerializingController {
  @Get('person') @Cacheable({ ...shared, type: () => Person }) person(): Person[] {
    runs++;
    return [new Person('Ann', 's3cret')];
  }
}

describe.each(ADAPTERS)('responses on %s', (adapter) => {
  let app: RunningApp;
  const warnings = spyOnWarnings();

  beforeAll(async () => {
    app = await startApp(adapter, {
      controllers: [ResponseController, SerializingController],
      prepare: (nest) => {
        let requests = 0;
        nest.use((request: any, response: any, next: () => void) => {
          response.setHeader('x-request', String(++requests));
          response.setHeader('cache-status', 'elsewhere; fwd=miss');
          if (request.headers['x-passport']) request.user = { id: 'ann', orgId: 'o1' };
          next();
        });
        nest.useGlobalInterceptors(new ClassSerializerInterceptor(nest.get(Reflector)));
      },
    });
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    runs = 0;
    warnings.clear();
    await app.cache.clear();
  });

  const twice = async (path: string, init?: RequestInit) => [
    await app.get(path, undefined, init),
    await app.get(path, undefined, init),
  ];

  it.each(['undefined', 'null', 'zero', 'false', 'empty'])(
    'P10 SC-37: %s is a hit and answers the same',
    async (value) => {
      const [first, second] = await twice(`/r/falsy/${value}`);
      expect(second!.cache).toContain('hit');
      expect([second!.status, second!.body, second!.headers.get('content-type')]).toEqual([
        first!.status,
        first!.body,
        first!.headers.get('content-type'),
      ]);
      expect(runs).toBe(1);
    },
  );

  it('the last value of an Observable is cached', async () => {
    const answers = await twice('/r/observable');
    expect(answers.map(({ body }) => body)).toEqual([{ run: 2 }, { run: 2 }]);
    expect(runs).toBe(1);
  });

  it('P9: errors are never stored', async () => {
    const answers = await twice('/r/error');
    expect(answers.map(({ status, body }) => [status, body.message])).toEqual([
      [404, 'run 1'],
      [404, 'run 2'],
    ]);
  });

  it.each([
    ['refused', 'condition'],
    ['put-beside', 'put'],
  ])('%s: runs each time, and Cache-Status says why', async (path, detail) => {
    const answers = await twice(`/r/${path}`);
    expect(answers.map(({ body }) => body.run)).toEqual([1, 2]);
    expect(answers[1]!.cache).toContain(`nestjs-scoped-cache; fwd=bypass; detail=${detail}`);
  });

  it('what a handler with passthrough sent itself is not replaced by what it returned', async () => {
    expect((await twice('/r/sent')).map(({ body }) => body)).toEqual(['sent 1', 'sent 2']);
  });

  it('a Response of fetch, which can be read once, is a stream', async () => {
    const answers = await twice('/r/fetched');
    // What is answered is another matter: Nest 11 does not know such results.
    expect(runs).toBe(2);
    expect(answers[1]!.headers.get('cache-status')).toContain('detail=stream');
    expect(warnings.texts).toEqual([]);
  });

  it('a stream is answered each time and never stored', async () => {
    const answers = await twice('/r/stream');
    expect(answers.map(({ body }) => body)).toEqual(['run 1', 'run 2']);
    expect(answers[1]!.cache).toBe(
      'elsewhere; fwd=miss, nestjs-scoped-cache; fwd=miss; detail=stream',
    );
  });

  it('a handler that answers by itself runs each time, with a warning', async () => {
    const answers = await twice('/r/res');
    expect(answers.map(({ body }) => body.run)).toEqual([1, 2]);
    expect(warnings.texts.join()).toMatch(/ResponseController\.res: it takes @Res\(\)/);
  });

  it.each([
    ['cookie', 'set-cookie'],
    ['no-store', 'no-store'],
    ['private', 'private'],
    ['gone', 'status-410'],
    ['part', 'status-206'],
    ['vary-star', 'vary'],
  ])('%s: not stored, with one warning', async (path, detail) => {
    const answers = await twice(`/r/${path}`);
    expect(answers.map(({ body }) => body.run)).toEqual([1, 2]);
    expect(answers[0]!.cache).toBe(
      `elsewhere; fwd=miss, nestjs-scoped-cache; fwd=miss; detail=${detail}`,
    );
  });

  it('a private response is stored in the scope of one user', async () => {
    const ann = { id: 'ann', orgId: 'o1' };
    await app.get('/r/private-user', ann);
    expect((await app.get('/r/private-user', ann)).cache).toContain('hit');
  });

  it('a hit replays the status and the headers that the handler set', async () => {
    const [first, second] = await twice('/r/headers');
    for (const answer of [first!, second!]) {
      expect(answer.status).toBe(202);
      expect([answer.headers.get('x-run'), answer.headers.get('x-static')]).toEqual(['1', 's']);
    }
    expect(second!.cache).toContain('hit');
  });

  it('a hit keeps the headers that others set on its own response', async () => {
    const [first, second] = await twice('/r/headers');
    expect(second!.headers.get('x-request')).not.toBe(first!.headers.get('x-request'));
  });

  it('a user whom middleware put on the request counts, raw or not', async () => {
    const answers = await twice('/r/private-user', { headers: { 'x-passport': 'yes' } });
    expect(answers.map(({ body }) => body.run)).toEqual([1, 1]);
  });

  it('evicting a key evicts all its variants', async () => {
    const inGerman = () =>
      app.get('/r/language', undefined, { headers: { 'accept-language': 'de' } });
    await inGerman();
    await app.send('PUT', '/r/language');
    expect((await inGerman()).body.run).toBe(2);
  });

  it('those who wait for one run of the handler get its status and headers too', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => app.get('/r/headers')));
    expect(
      answers.map(({ status, headers, body }) => [status, headers.get('x-run'), body.run]),
    ).toEqual(answers.map(() => [202, '1', 1]));
  });

  it('a redirect is replayed', async () => {
    const [first, second] = await twice('/r/redirect', { redirect: 'manual' });
    expect([first!.status, second!.status, second!.headers.get('location'), runs]).toEqual([
      307,
      307,
      'https://example.org/',
      1,
    ]);
  });

  it('vary: the named headers are part of the key', async () => {
    const of = (language: string) =>
      app.get('/r/language', undefined, { headers: { 'accept-language': language } });
    const bodies = [await of('de'), await of('en'), await of('de')].map(({ body }) => body);
    expect(bodies).toEqual([
      { run: 1, language: 'de' },
      { run: 2, language: 'en' },
      { run: 1, language: 'de' },
    ]);
  });

  it('a header taken by name is part of the key by itself', async () => {
    const poisoned = await app.get('/r/named-header', undefined, {
      headers: { 'x-poison': 'evil' },
    });
    const clean = await app.get('/r/named-header');
    expect([poisoned.body.poison, clean.body.poison]).toEqual(['evil', null]);
  });

  it('what no default key covers runs uncached, with a warning', async () => {
    const answers = await twice('/r/ip');
    expect(answers.map(({ body }) => body.run)).toEqual([1, 2]);
    expect(warnings.texts.join()).toMatch(/takes @Ip\(\)/);
  });

  it.each([
    'x-forwarded-host',
    'x-original-url',
    'x-rewrite-url',
    'x-nextjs-data',
    'origin',
    'x-http-method-override',
    'forwarded',
  ])('poison in %s does not reach the clean request', async (name) => {
    const cold = await app.get('/r/named-header');
    await app.cache.clear();
    runs = 0;
    await app.get('/r/named-header', undefined, { headers: { [name]: 'evil.example' } });
    expect((await app.get('/r/named-header')).body).toEqual(cold.body);
  });

  it('handlers of unsafe methods are cached only with a key', async () => {
    const unsafe = [await app.send('POST', '/r/unsafe'), await app.send('POST', '/r/unsafe')];
    expect(unsafe.map(({ body }) => body.run)).toEqual([1, 2]);
    expect(unsafe[0]!.cache).toBe('elsewhere; fwd=miss, nestjs-scoped-cache; fwd=method');
    const init = {
      body: JSON.stringify({ q: 1 }),
      headers: { 'content-type': 'application/json' },
    };
    await app.send('POST', '/r/search', undefined, init);
    const again = await app.send('POST', '/r/search', undefined, init);
    expect([again.body, again.status]).toEqual([{ run: 3, body: { q: 1 } }, 200]);
  });

  it('the query, handed back as the server parsed it, is stored', async () => {
    const answers = await twice('/r/query?a=1&b=2');
    for (const { body } of answers) expect(body).toEqual({ query: { a: '1', b: '2' } });
    expect([answers[1]!.cache, runs]).toEqual([expect.stringContaining('hit'), 1]);
  });

  it('HEAD is served from the entry of GET', async () => {
    await app.get('/r/falsy/zero');
    const head = await app.send('HEAD', '/r/falsy/zero');
    expect([head.status, runs]).toEqual([200, 1]);
  });

  it('a request cannot force a load', async () => {
    const answers = await twice('/r/falsy/zero', { headers: { 'cache-control': 'no-cache' } });
    expect(answers[1]!.cache).toContain('hit');
  });

  it('@CachePut replaces the body that GET answers, not its status', async () => {
    await app.get('/r/put/7');
    expect((await app.send('PUT', '/r/put/7')).status).toBe(201);
    const answer = await app.get('/r/put/7');
    expect([answer.status, answer.body]).toEqual([200, { put: true }]);
    expect(answer.cache).toContain('hit');
  });

  it.each(['/r/person', '/own/person'])(
    '%s: fields that ClassSerializerInterceptor hides on a miss are hidden on a hit',
    async (path) => {
      const [first, second] = await twice(path);
      expect(second!.cache).toContain('hit');
      expect(JSON.stringify(second!.body)).toContain('"greeting":"I am Ann"');
      expect(JSON.stringify(second!.body)).not.toContain('s3cret');
      expect(second!.body).toEqual(first!.body);
      expect(runs).toBe(1);
    },
  );

  it('a class instance without type is answered, not stored, and the warning says what to write', async () => {
    const answers = await twice('/r/untyped');
    for (const { body } of answers) expect(body).toEqual({ name: 'Ann', greeting: 'I am Ann' });
    expect(runs).toBe(2);
    expect(warnings.texts.join()).toMatch(/type: \(\) =>/);
  });
});

/** What `@fastify/cookie` does, without depending on it: cookies wait beside the reply and become headers when it is sent. */
function cookiesLater(nest: INestApplication): void {
  const waiting = Symbol('fastify.reply.setCookies');
  const fastify = nest.getHttpAdapter().getInstance() as any;
  fastify.decorateReply(waiting, null);
  fastify.decorateReply('setCookie', function (this: any, name: string, value: string) {
    this[waiting] ??= new Map();
    this[waiting].set(name, value);
  });
  fastify.addHook('onSend', async (_request: unknown, reply: any) => {
    for (const [name, value] of reply[waiting] ?? [])
      reply.header('set-cookie', `${name}=${value}`);
    reply[waiting]?.clear();
  });
}

it('a cookie that Fastify makes a header of only when it answers keeps the response out of the cache', async () => {
  @Controller('c')
  class CookieController {
    @Get('sets') @Cacheable(shared) sets(@Res({ passthrough: true }) reply: any): object {
      reply.setCookie('a', 'b');
      return { run: ++runs };
    }
    @Get('not') @Cacheable(shared) not(): object {
      return { run: ++runs };
    }
  }
  const app = await startApp('fastify', { controllers: [CookieController], prepare: cookiesLater });
  runs = 0;
  const answers = [await app.get('/c/sets'), await app.get('/c/sets')];
  expect(answers.map(({ body, headers }) => [body.run, headers.get('set-cookie')])).toEqual([
    [1, 'a=b'],
    [2, 'a=b'],
  ]);
  expect(answers[0]!.cache).toBe('nestjs-scoped-cache; fwd=miss; detail=set-cookie');
  await app.get('/c/not');
  expect((await app.get('/c/not')).cache).toContain('hit');
  await app.close();
});
