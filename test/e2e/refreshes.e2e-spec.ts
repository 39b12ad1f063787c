import { Controller, Get, Res } from '@nestjs/common';
import { Cacheable } from 'nestjs-scoped-cache';
import type { ManualClock } from 'nestjs-scoped-cache/testing';
import { manualPlatform } from '../support/nest/manual-platform.js';
import { ADAPTERS, startApp, type RunningApp } from '../support/nest/start-app.js';

interface Reply {
  status(code: number): unknown;
}

let runs = 0;

@Controller('document')
class DocumentController {
  @Get('own')
  @Cacheable({ scope: 'global', ttl: 10, refreshAhead: 0.5, earlyExpiration: 1 })
  own(@Res({ passthrough: true }) reply: Reply): { run: number } {
    return answer(reply);
  }

  @Get('default')
  @Cacheable({ scope: 'global', ttl: 10 })
  default(@Res({ passthrough: true }) reply: Reply): { run: number } {
    return answer(reply);
  }
}

function answer(reply: Reply): { run: number } {
  runs++;
  reply.status(runs === 1 ? 203 : 207);
  return { run: runs };
}

describe.each(ADAPTERS)('a handler that takes its response, on %s', (adapter) => {
  let app: RunningApp;
  let clock: ManualClock;

  beforeEach(async () => {
    runs = 0;
    const platform = manualPlatform();
    clock = platform.clock;
    app = await startApp(adapter, {
      controllers: [DocumentController],
      platform,
      cache: { loading: { refreshAhead: 0.5 } },
    });
  });
  afterEach(() => app.close());

  it.each(['own', 'default'])(
    'is not refreshed ahead of time, by its %s options: its response is that of a request which has its answer',
    async (whose) => {
      const path = `/document/${whose}`;
      expect(await app.get(path)).toMatchObject({ status: 203, body: { run: 1 } });
      for (const leftMs of [4_000, 1_000, 1]) {
        clock.advance(10_000 - clock.monotonic() - leftMs);
        expect(await app.get(path)).toMatchObject({ status: 203, body: { run: 1 } });
      }
      expect(runs).toBe(1);
    },
  );
});
