import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { CacheModule, CacheService } from '../../lib/index.js';
import { nodeClock } from '../../lib/platform/node-clock.js';

describe('nodeClock', () => {
  afterEach(() => {
    jest.useRealTimers();
  });

  it('P7 counts whole milliseconds that never go back', () => {
    let last = nodeClock.monotonic();
    for (const until = last + 20; last < until;) {
      const now = nodeClock.monotonic();
      expect([Number.isInteger(now), now >= last]).toEqual([true, true]);
      last = now;
    }
  });

  it('is not moved by what the wall clock is set to', () => {
    const before = nodeClock.monotonic();
    jest.spyOn(Date, 'now').mockReturnValue(0);
    expect(nodeClock.monotonic() - before).toBeLessThan(1_000);
    jest.restoreAllMocks();
  });

  it("obeys a test's fake timers, so that an application can let its cache grow old", async () => {
    jest.useFakeTimers();
    const module = await Test.createTestingModule({
      imports: [CacheModule.forRoot({ ttl: '10m' })],
    }).compile();
    const cache = module.get(CacheService);
    await cache.set('k', 1);
    jest.advanceTimersByTime(599_999);
    expect(await cache.get('k')).toBe(1);
    jest.advanceTimersByTime(1);
    expect(await cache.get('k')).toBeUndefined();
    await module.close();
  });
});
