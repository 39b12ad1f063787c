import { Controller, Get, Res } from '@nestjs/common';
import { Cacheable } from 'nestjs-scoped-cache';
import { startApp, type RunningApp } from '../support/nest/start-app.js';

interface Reply {
  vary(name: string): unknown;
}

@Controller()
class PagesController {
  @Get('plain')
  @Cacheable({ scope: 'global' })
  plain(): string {
    return 'page';
  }

  @Get('more')
  @Cacheable({ scope: 'global' })
  more(@Res({ passthrough: true }) reply: Reply): string {
    reply.vary('accept-language');
    return 'page';
  }
}

describe('Vary that middleware sets before the handler runs, as for CORS', () => {
  let app: RunningApp;
  beforeAll(async () => {
    app = await startApp('express', {
      controllers: [PagesController],
      prepare: (nest) =>
        nest.enableCors({ origin: ['https://example.com', 'https://example.org'] }),
    });
  });
  afterAll(() => app.close());

  it('is none of the response to cache: it runs on a hit too', async () => {
    const [first, second] = [await app.get('/plain'), await app.get('/plain')];
    expect([first.cache, second.headers.get('vary')]).toEqual([
      'nestjs-scoped-cache; fwd=miss; stored',
      'Origin',
    ]);
    expect(second.cache).toMatch(/hit/);
  });

  it('does not hide what the handler adds to it', async () => {
    await app.get('/more');
    const again = await app.get('/more');
    expect(again.headers.get('vary')).toBe('Origin, accept-language');
    expect(again.cache).toBe('nestjs-scoped-cache; fwd=miss; detail=vary');
  });
});
