import { assertEqual } from '../assertions.js';
import { ManualClock } from '../manual-clock.js';
import type { StorageClause } from './storage-bench.js';

/** S8, P16, P17: nothing is left behind. */
export function closingClauses(clause: StorageClause): void {
  clause('S8 P17', 'close may be called twice, and leaves no timer behind', async (bench) => {
    const cache = bench.open();
    await cache.set('k', 1, { ttl: 10 });
    await cache.getOrSet('l', () => 1, { grace: '1h', hardTimeout: 5 });
    await cache.close();
    await cache.close();
    if (bench.clock instanceof ManualClock) assertEqual(bench.clock.pending, 0, 'timers waiting');
  });

  clause(
    'S8',
    'closing one cache leaves another one on the same storage working',
    async (bench) => {
      const one = bench.open();
      const other = bench.open();
      await one.close();
      await other.set('k', 1);
      assertEqual(await other.get('k'), 1, 'a read after the other cache closed');
    },
  );

  clause('P16', 'no load is left under way after loads of every kind', async (bench) => {
    const cache = bench.open();
    await cache.getOrSet('k', () => 1);
    await cache.getOrSet('u', () => undefined);
    await cache.getOrSet('f', () => Promise.reject(new Error('source'))).catch(() => undefined);
    await cache.getOrSet('s', (context) => (context.skipStore(), 1));
    await cache.getOrSetMany(['x', 'y', 'x'], (keys) => keys.map((key) => key));
    assertEqual(cache.loadsUnderWay, 0, 'loads under way');
  });
}
