import { assertEqual } from '../assertions.js';
import type { StorageClause } from './storage-bench.js';

/** S1, P7: how long entries live. */
export function lifetimeClauses(clause: StorageClause, isExact: boolean, grace: boolean): void {
  clause('S1 P7', 'an entry is a hit until its TTL has passed, then a miss', async (bench) => {
    const cache = bench.open();
    await cache.set('k', 'v', { ttl: bench.life });
    await cache.set('forever', 'v', { ttl: 'forever' });
    await bench.pass(bench.lifeMs / 4);
    assertEqual(await cache.get('k'), 'v', 'before its TTL');
    assertEqual(await cache.has('k'), true, 'has, before its TTL');
    await bench.outlive();
    assertEqual(await cache.get('k'), undefined, 'after its TTL');
    assertEqual(await cache.has('k'), false, 'has, after its TTL');
    assertEqual(await cache.delete('k'), false, 'delete of an expired entry');
    assertEqual(await cache.touch('k', { ttl: 60 }), false, 'touch of an expired entry');
    assertEqual(await cache.get('forever'), 'v', 'an entry without end');
  });

  clause('S1', 'a write gives a new life, whatever is left of the old one', async (bench) => {
    const cache = bench.open();
    await cache.set('k', 'old', { ttl: bench.life });
    await bench.pass(bench.lifeMs * 0.75);
    await cache.set('k', 'new', { ttl: bench.life });
    await bench.pass(bench.lifeMs * 0.5);
    assertEqual(await cache.get('k'), 'new', 'within the second life');
    await cache.set('k', 'newer', { ttl: 0 });
    assertEqual(await cache.get('k'), undefined, 'after a set with ttl 0');
  });

  clause('S1', 'touch gives a live entry a new TTL and leaves its value alone', async (bench) => {
    const cache = bench.open();
    await cache.set('k', { a: 1 }, { ttl: bench.life, tags: ['t'] });
    await bench.pass(bench.lifeMs * 0.75);
    assertEqual(await cache.touch('k', { ttl: bench.life }), true, 'touch of a live entry');
    await bench.pass(bench.lifeMs * 0.5);
    assertEqual(await cache.get('k'), { a: 1 }, 'the value after touch');
    await cache.evictTags('t');
    assertEqual(await cache.get('k'), undefined, 'a touched entry after its tag was evicted');
  });

  clause('S1', 'a read renews a sliding entry with its own TTL; has does not', async (bench) => {
    const cache = bench.open({ ttl: 'forever' });
    await cache.set('read', 1, { ttl: bench.life, sliding: true });
    await cache.set('looked at', 1, { ttl: bench.life, sliding: true });
    await cache.set('fixed', 1, { ttl: bench.life });
    for (const key of ['read', 'fixed']) {
      await bench.pass(bench.lifeMs * 0.3);
      await cache.get(key);
      await cache.has('looked at');
    }
    await cache.get('read');
    await bench.pass(bench.lifeMs * 0.5);
    assertEqual(await cache.get('read'), 1, 'the entry that was read');
    assertEqual(await cache.has('looked at'), false, 'the one only looked at');
    assertEqual(await cache.has('fixed'), false, 'the one that does not slide');
    await bench.outlive();
    assertEqual(await cache.get('read'), undefined, 'the sliding entry, unread for its TTL');
  });

  clause('S1', 'a counter keeps the expiry that it was created with', async (bench) => {
    const cache = bench.open();
    assertEqual(await cache.increment('n', { ttl: bench.life }), 1, 'the first hit');
    await bench.pass(bench.lifeMs * 0.6);
    assertEqual(await cache.increment('n', { ttl: bench.life, by: 2 }), 3, 'the second hit');
    await bench.pass(bench.lifeMs * 0.6);
    assertEqual(await cache.increment('n', { ttl: bench.life }), 1, 'the first of the next window');
  });

  clause(
    'S1 S2',
    'expireTags and expireScope end the lives below their scope, and no others',
    async (bench) => {
      const cache = bench.open();
      const here = { org: 'o', user: 'u' };
      const elsewhere = { org: 'o2', user: 'u' };
      for (const scope of [here, elsewhere])
        for (const key of ['t', 'u']) await cache.set(key, scope.org, { scope, tags: [key] });
      const live = (scope: typeof here) => cache.getMany(['t', 'u'], { scope });
      await cache.expireTags('t', { scope: { org: 'o' } });
      assertEqual(await live(here), [undefined, 'o'], 'where one of two tags was expired');
      assertEqual(await live(elsewhere), ['o2', 'o2'], 'the other org, after expireTags');
      await cache.expireScope({ org: 'o' });
      assertEqual(await live(here), [undefined, undefined], 'where the scope was expired');
      assertEqual(await live(elsewhere), ['o2', 'o2'], 'the other org, after expireScope');
    },
  );

  if (grace)
    clause(
      'S1 P5 P7',
      'a sliding entry in its grace is not brought back by reads',
      async (bench) => {
        const cache = bench.open();
        const where = { scope: { org: 'o' } };
        const ends: Record<string, () => Promise<unknown>> = {
          'its time': () => bench.outlive(),
          expireScope: () => cache.expireScope({ org: 'o' }),
          expireTags: () => cache.expireTags('t'),
        };
        for (const [name, end] of Object.entries(ends)) {
          const ttl = name === 'its time' ? bench.life : 60;
          await cache.set('k', 'old', { ...where, ttl, grace: '1h', sliding: true, tags: ['t'] });
          assertEqual(await cache.get('k', where), 'old', 'a read before');
          await end();
          assertEqual(await cache.get('k', where), undefined, `get, after ${name}`);
          assertEqual(await cache.getMany(['k'], where), [undefined], `getMany, after ${name}`);
          const stale = await cache.lookup('k', { ...where, allowStale: true });
          assertEqual(stale.hit && stale.stale, true, `stale, after ${name}`);
          const loaded = await cache.getOrSet('k', () => 'new', where);
          assertEqual(loaded, 'new', `getOrSet, after ${name}`);
        }
      },
    );

  if (grace)
    clause(
      'S1 P7',
      'past its TTL, within its grace, an entry is no hit but may be asked for',
      async (bench) => {
        const cache = bench.open();
        await cache.set('k', 'v', { ttl: bench.life, grace: '1h' });
        await bench.outlive();
        assertEqual(await cache.get('k'), undefined, 'a plain read');
        assertEqual(await cache.has('k'), false, 'has');
        const found = await cache.lookup('k', { allowStale: true });
        assertEqual(
          found.hit && [found.value, found.stale],
          ['v', true],
          'a read that allows stale',
        );
        await cache.delete('k');
        assertEqual((await cache.lookup('k', { allowStale: true })).hit, false, 'after delete');
      },
    );

  if (!isExact) return;
  clause('S1 P7', 'expiry is exact: a hit at ttl - 1 ms, a miss at ttl', async (bench) => {
    const cache = bench.open();
    for (const ttlMs of [1, 2, 999, 86_400_000, 2 ** 31 + 5]) {
      await cache.set('k', 'v', { ttl: `${ttlMs}ms` });
      await bench.pass(ttlMs - 1);
      assertEqual(await cache.get('k'), 'v', `at ${ttlMs} - 1 ms`);
      await bench.pass(1);
      assertEqual(await cache.get('k'), undefined, `at ${ttlMs} ms`);
    }
  });
}
