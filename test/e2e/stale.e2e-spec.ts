import { Controller, Get, HttpException, Param, ServiceUnavailableException } from '@nestjs/common';
import { Cacheable } from 'nestjs-scoped-cache';
import { manualPlatform } from '../support/nest/manual-platform.js';
import { ADAPTERS, startApp, type RunningApp } from '../support/nest/start-app.js';

let runs = 0;
let isDown = false;

@Controller()
class RatesController {
  @Get('rates')
  @Cacheable({ scope: 'global', ttl: 10, grace: 60, graceThrottle: 0 })
  rates(): { run: number } {
    runs++;
    if (isDown) throw new ServiceUnavailableException();
    return { run: runs };
  }

  @Get('status/:status')
  @Cacheable({ scope: 'global', ttl: 10, grace: 60, graceThrottle: 0 })
  status(@Param('status') status: string): { run: number } {
    runs++;
    if (isDown) throw new HttpException('down', Number(status));
    return { run: runs };
  }

  @Get('errors')
  @Cacheable({ scope: 'global', errorTtl: 5 })
  errors(): never {
    throw new ServiceUnavailableException(`run ${++runs}`);
  }
}

describe.each(ADAPTERS)('Cache-Status of what outlived its TTL, on %s', (adapter) => {
  const platform = manualPlatform();
  let app: RunningApp;

  beforeAll(async () => {
    app = await startApp(adapter, { controllers: [RatesController], platform });
  });
  beforeEach(() => {
    runs = 0;
    isDown = false;
    return app.cache.clear();
  });
  afterAll(() => app.close());

  it('a stale answer says that it is one, and for how long', async () => {
    const first = await app.get('/rates');
    expect(first.cache).toBe('nestjs-scoped-cache; fwd=miss; stored');
    platform.clock.advance(9_000);
    expect((await app.get('/rates')).cache).toBe('nestjs-scoped-cache; hit; ttl=1');
    platform.clock.advance(13_000);
    isDown = true;
    const stale = await app.get('/rates');
    expect([stale.status, stale.body]).toEqual([200, { run: 1 }]);
    expect(stale.cache).toBe('nestjs-scoped-cache; hit; ttl=-12; detail=stale');
    isDown = false;
    expect((await app.get('/rates')).cache).toBe('nestjs-scoped-cache; fwd=miss; stored');
  });

  it.each([
    [400, 400],
    [403, 403],
    [404, 404],
    [408, 200],
    [410, 410],
    [429, 200],
    [499, 499],
    [500, 200],
    [503, 200],
  ])(
    'where the handler says %d, the client sees %d: answers are passed on, outages are not',
    async (says, seen) => {
      await app.get(`/status/${says}`);
      platform.clock.advance(11_000);
      isDown = true;
      const { status, body } = await app.get(`/status/${says}`);
      expect([status, body.run]).toEqual([seen, seen === 200 ? 1 : undefined]);
    },
  );

  it('beyond its grace it does not serve: the error reaches the client', async () => {
    await app.get('/rates');
    platform.clock.advance(70_000);
    isDown = true;
    expect(await app.get('/rates')).toMatchObject({ status: 503 });
  });

  it('a remembered error is thrown again with its own status, and never answered as a value', async () => {
    const once = await app.get('/errors');
    const again = await app.get('/errors');
    expect([once.status, once.body, runs]).toEqual([503, again.body, 1]);
    expect([again.status, again.body.message]).toEqual([503, 'run 1']);
    platform.clock.advance(5_000);
    expect((await app.get('/errors')).body.message).toBe('run 2');
  });
});
