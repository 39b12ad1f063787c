import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/testing/manual-clock.js';
import { makeCache } from '../../support/make-cache.js';

describe('smoke', () => {
  it('sets, gets, scopes, evicts', async () => {
    const clock = new ManualClock();
    const cache = makeCache({}, clock);
    await cache.set('k', { a: 1 }, { scope: { org: 'o', user: 'u' } });
    expect(await cache.get('k', { scope: { org: 'o', user: 'u' } })).toEqual({ a: 1 });
    expect(await cache.get('k', { scope: { org: 'o2', user: 'u' } })).toBeUndefined();
    expect(await cache.evictScope({ org: 'o' })).toBe(1);
    expect(await cache.get('k', { scope: { org: 'o', user: 'u' } })).toBeUndefined();
    let loads = 0;
    const load = () => cache.getOrSet('l', async () => ++loads);
    expect(await Promise.all([load(), load(), load()])).toEqual([1, 1, 1]);
    expect(await load()).toBe(1);
    await cache.increment('n', { by: 2 });
    expect(await cache.increment('n')).toBe(3);
    expect(await cache.merge('m', { a: 1 })).toEqual({ a: 1 });
    expect(await cache.merge('m', { b: 1 })).toEqual({ a: 1, b: 1 });
    expect(
      await cache.getOrSetMany(['x', 'y', 'x'], async (keys) => keys.map((k) => `${k}!`)),
    ).toEqual(['x!', 'y!', 'x!']);
    clock.advance(300_000);
    expect(await cache.get('l')).toBeUndefined();
    expect(await cache.stats()).toMatchObject({ totalKeys: 0 });
    expect(cache.loadsUnderWay).toBe(0);
    await cache.close();
    expect(clock.pending).toBe(0);
  });
});
