import type { INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  CACHE_PLATFORM,
  CacheModule,
  CacheService,
  type CacheFault,
  type CacheListener,
} from 'nestjs-scoped-cache';
import { FaultyStorage, mapStorage } from 'nestjs-scoped-cache/testing';
import { manualPlatform } from '../support/nest/manual-platform.js';
import { spyOnWarnings } from '../support/nest/warnings.js';

class Counting implements CacheListener {
  #hits = 0;
  get hits(): number {
    return this.#hits;
  }
  onHit(): void {
    this.#hits++;
  }
}

describe('P13 faults in the log', () => {
  const warnings = spyOnWarnings();
  const platform = manualPlatform();
  let storage: FaultyStorage;
  let app: INestApplicationContext | undefined;

  const start = async (listener?: CacheListener): Promise<CacheService> => {
    storage = new FaultyStorage(mapStorage(), platform.clock);
    const options = { storage: storage.wrapped, ...(listener && { listener }) };
    const module = await Test.createTestingModule({ imports: [CacheModule.forRoot(options)] })
      .overrideProvider(CACHE_PLATFORM)
      .useValue(platform)
      .compile();
    app = await module.init();
    return app.get(CacheService);
  };

  beforeEach(() => warnings.clear());
  afterEach(() => app?.close());

  it('each kind once a minute, with what was left unsaid, and without values', async () => {
    const cache = await start();
    storage.failNext(Infinity);
    for (const key of ['k', 'l', 'm']) await cache.set(key, 'secret', { scope: { org: 'o' } });
    expect(warnings.texts).toHaveLength(1);
    expect(warnings.texts[0]).toMatch(/^Fault during set of key k in scope org:o, storage "map": /);
    platform.clock.advance(60_000);
    await cache.set('n', 'secret');
    expect(warnings.texts).toHaveLength(2);
    expect(warnings.texts[1]).toMatch(/of key n.*\(2 more since the last line of this kind\)/);
    expect(warnings.texts.join()).not.toContain('secret');
  });

  it('nothing is said to the log where the listener is told', async () => {
    const faults: CacheFault[] = [];
    const cache = await start({ onFault: (fault) => void faults.push(fault) });
    storage.failNext(1);
    await cache.set('k', 1);
    expect([faults.map(({ during }) => during), warnings.texts]).toEqual([['set'], []]);
  });

  it('the other hooks of a listener are called as before', async () => {
    const listener = new Counting();
    const cache = await start(listener);
    await cache.set('k', 1);
    await cache.get('k');
    storage.failNext(1);
    await cache.set('k', 1);
    expect([listener.hits, warnings.texts.length]).toEqual([1, 1]);
  });
});
