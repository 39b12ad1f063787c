import { assertEqual } from '../assertions.js';
import type { StorageClause } from './storage-bench.js';

const OK = { org: 'o', user: 'u' };

/** S5: what counts, lists and reclaims. */
export function countingClauses(clause: StorageClause, idle: boolean): void {
  clause('S5', 'evictions, deletes and sizes count live entries exactly', async (bench) => {
    const cache = bench.open();
    await cache.set('expired', 1, { scope: OK, ttl: bench.life, tags: ['t'] });
    await bench.outlive();
    for (const key of ['a', 'b']) await cache.set(key, key, { scope: OK, tags: ['t', 'u'] });
    await cache.set('c', 'c', { scope: { org: 'o' }, tags: ['u'] });
    await cache.set('d', 'd', { scope: { org: 'p' }, tags: ['t'] });
    await cache.set('a', 'again', { scope: OK, tags: ['t'] });
    assertEqual(await cache.size(), 4, 'the size of everything');
    assertEqual(await cache.size({ scope: { org: 'o' } }), 3, 'the size of an org');
    assertEqual((await cache.stats()).totalKeys, 4, 'totalKeys');
    assertEqual(await cache.evictTags(['t', 'u'], { scope: OK }), 2, 'evictTags in a user');
    assertEqual(await cache.evictTags('t', { scope: OK }), 0, 'evictTags, again');
    assertEqual(await cache.delete('expired', { scope: OK }), false, 'delete of an expired entry');
    assertEqual(await cache.evictScope({ org: 'o' }), 1, 'evictScope of an org');
    assertEqual(await cache.evictScope({ org: 'o' }), 0, 'evictScope, again');
    assertEqual(await cache.evictScope('global'), 1, 'evictScope of everything');
    assertEqual(await cache.size(), 0, 'the size in the end');
  });

  clause('S5', 'the figures tell how many entries left, and why', async (bench) => {
    const cache = bench.open();
    for (const key of ['a', 'b', 'c', 'd']) await cache.set(key, key, { scope: OK });
    await cache.set('c', 'c', { scope: OK, tags: ['t'] });
    await cache.delete('a', { scope: OK });
    await cache.deleteMany(['a', 'b'], { scope: OK });
    await cache.evictTags('t', { scope: OK });
    await cache.evictScope({ org: 'o' });
    const { deleted, tag, scope } = (await cache.stats()).evictions;
    assertEqual({ deleted, tag, scope }, { deleted: 2, tag: 1, scope: 1 }, 'evictions by reason');
  });

  clause(
    'S5',
    'listings show live entries once each, with value, expiry and tags, and renew none',
    async (bench) => {
      const cache = bench.open();
      await cache.set('expired', 1, { ttl: bench.life, scope: OK });
      await bench.outlive();
      await cache.set(['array', 1], 'first', { ttl: 'forever', scope: OK, tags: ['t'] });
      await cache.set('[looks like one]', 'second', { ttl: bench.life, sliding: true, scope: OK });
      await cache.set('elsewhere', 'third', { scope: { org: 'o' } });
      const lines = [];
      for await (const line of cache.entries({ scope: OK })) lines.push(line);
      lines.sort((one, other) => String(one.value).localeCompare(String(other.value)));
      assertEqual(
        lines.map(({ key, scope, value, tags }) => ({ key, scope, value, tags })),
        [
          { key: ['array', 1], scope: OK, value: 'first', tags: ['t'] },
          { key: '[looks like one]', scope: OK, value: 'second', tags: [] },
        ],
        'the entries of a scope',
      );
      assertEqual(lines[0]!.expiresAt, Infinity, 'the expiry of an entry without end');
      const keys = [];
      for await (const key of cache.keys({ scope: { org: 'o' }, deep: true })) keys.push(key);
      assertEqual(keys.length, 3, 'the keys of the subtree');
      await bench.outlive();
      assertEqual(
        await cache.get('[looks like one]', { scope: OK }),
        undefined,
        'a listed sliding entry',
      );
    },
  );

  clause(
    'S5',
    'a thousand entries are listed, whatever happens to some of them meanwhile',
    async (bench) => {
      const cache = bench.open();
      const names = Array.from({ length: 1_000 }, (_, at) => `k${at}`);
      await cache.setMany(Object.fromEntries(names.map((name) => [name, name])), {
        ttl: 'forever',
      });
      const seen = new Set<unknown>();
      for await (const key of cache.keys()) {
        if (seen.size === 10) await cache.delete('k999');
        seen.add(key);
      }
      for (const name of names.slice(0, 999))
        assertEqual(seen.has(name), true, `${name} in the listing`);
      assertEqual(await cache.evictScope('global'), 999, 'the entries evicted');
    },
  );

  clause('S5 P16', 'removeExpired reclaims what expired and nothing else', async (bench) => {
    const cache = bench.open();
    await cache.set('stays', 1, { ttl: 'forever' });
    await cache.set('goes', 1, { ttl: bench.life });
    await bench.outlive();
    await cache.removeExpired();
    assertEqual(await cache.removeExpired(), 0, 'a second removeExpired');
    assertEqual(await cache.size(), 1, 'the size after it');
    assertEqual(await cache.get('stays'), 1, 'the entry without end');
  });

  if (!idle) return;
  clause('S5', 'removeIdle takes what nobody used, and only in its scope', async (bench) => {
    const cache = bench.open({ ttl: 'forever' });
    // Idle times may come out up to two steps too short, and never too long.
    const stepMs = bench.options.idleStepMs ?? 0;
    const idleMs = Math.max(bench.lifeMs / 2, stepMs);
    for (const key of ['read', 'idle']) await cache.set(key, key, { scope: OK });
    await cache.set('idle', 'elsewhere', { scope: { org: 'p' } });
    await bench.pass(1.5 * idleMs + 2 * stepMs);
    await cache.get('read', { scope: OK });
    await bench.pass(idleMs / 2);
    const removed = await cache.removeIdle(idleMs / 1_000, { scope: { org: 'o' } });
    assertEqual(removed, 1, 'removeIdle');
    assertEqual(await cache.get('read', { scope: OK }), 'read', 'the entry that was read');
    assertEqual(await cache.has('idle', { scope: OK }), false, 'the idle one');
    assertEqual(await cache.has('idle', { scope: { org: 'p' } }), true, 'the idle one elsewhere');
  });
}
