import { assertEqual, assertRejects } from '../assertions.js';
import type { StorageClause } from './storage-bench.js';

/** Changes that depend on what is there: none may be lost. `inFleet`: by several caches on one storage too. */
export function atomicClauses(clause: StorageClause, inFleet: boolean): void {
  const where = { scope: { org: 'o', user: 'u' } };

  clause('S3 P5', 'concurrent increments all count', async (bench) => {
    const caches = inFleet ? [bench.open(), bench.open()] : [bench.open()];
    await Promise.all(
      Array.from({ length: 40 }, (_, at) => caches[at % caches.length]!.increment('n', where)),
    );
    await bench.spread();
    assertEqual(await caches[0]!.get('n', where), 40, 'the counter after 40 increments');
  });

  clause('S3 P5', 'concurrent merges of different fields lose none', async (bench) => {
    const caches = inFleet ? [bench.open(), bench.open()] : [bench.open()];
    const fields = Array.from({ length: 20 }, (_, at) => `f${at}`);
    await Promise.all(
      fields.map((field, at) => caches[at % caches.length]!.merge('m', { [field]: at }, where)),
    );
    await bench.spread();
    const expected = Object.fromEntries(fields.map((field, at) => [field, at]));
    const merged = await caches[0]!.get<Record<string, number>>('m', where);
    const sorted = Object.fromEntries(fields.map((field) => [field, merged?.[field]]));
    assertEqual(sorted, expected, 'the merged object');
  });

  clause('S3 P5', 'concurrent updates, some of them slow, lose none', async (bench) => {
    const cache = bench.open();
    await Promise.all(
      Array.from({ length: 10 }, (_, at) =>
        cache.update<number[]>('u', async (list = []) => {
          for (let turn = 0; turn < at; turn++) await Promise.resolve();
          return [...list, at];
        }),
      ),
    );
    const list = await cache.get<number[]>('u');
    assertEqual(
      [...(list ?? [])].sort((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      'the list',
    );
  });

  clause(
    'S3 P12',
    'the function of an update may take its time and read the entry',
    async (bench) => {
      const cache = bench.open();
      await cache.set('u', 1);
      const updated = await cache.update<number>('u', async (current = 0) => {
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
        return current + ((await cache.get<number>('u')) ?? 0);
      });
      assertEqual(updated, 2, 'the value');
    },
  );

  clause('S3 P9', 'an update whose function writes the entry itself is given up', async (bench) => {
    const cache = bench.open();
    let calls = 0;
    await assertRejects(
      () =>
        cache.update('u', async () => {
          await cache.set('u', ++calls);
          return 'never';
        }),
      'update',
      'STORAGE_UNAVAILABLE',
    );
    await cache.set('other', 1);
    assertEqual(await cache.get('other'), 1, 'another entry');
  });

  clause(
    'S1 S3',
    'a merge onto an expired entry starts afresh; one with mustExist refuses',
    async (bench) => {
      const cache = bench.open();
      await cache.set('m', { old: 1 }, { ttl: bench.life });
      await bench.outlive();
      await assertRejects(
        () => cache.merge('m', { a: 1 }, { mustExist: true }),
        'merge with mustExist onto an expired entry',
        'ENTRY_NOT_FOUND',
      );
      assertEqual(await cache.has('m'), false, 'has, after a refused merge');
      assertEqual(await cache.merge('m', { fresh: 1 }), { fresh: 1 }, 'the merged object');
    },
  );

  clause('S1', 'an increment leaves the life of its counter as it is', async (bench) => {
    const cache = bench.open();
    await cache.set('slides', 1, { ttl: bench.life, sliding: true });
    await cache.set('grace', 1, { ttl: bench.life, grace: '1h' });
    await bench.pass(bench.lifeMs / 2);
    assertEqual(await cache.increment('slides'), 2, 'the counter that slides');
    assertEqual(await cache.increment('grace'), 2, 'the counter with a grace');
    await cache.get('slides');
    await bench.pass((bench.lifeMs * 3) / 4);
    assertEqual(
      await cache.get('slides'),
      2,
      'the counter, three quarters of its life after it was read',
    );
    assertEqual(await cache.get('grace'), undefined, 'the other counter, whose life is over');
    const late = await cache.lookup('grace', { allowStale: true });
    assertEqual(late.hit && late.value, 2, 'the other counter, within its grace');
  });

  clause('S4', 'a counter refuses what is no number and leaves it', async (bench) => {
    const cache = bench.open();
    await cache.set('n', 'text');
    await assertRejects(() => cache.increment('n'), 'increment of a text', 'INVALID_OPTIONS');
    assertEqual(await cache.get('n'), 'text', 'the text');
    await cache.set('n', Number.MAX_VALUE);
    await assertRejects(
      () => cache.increment('n', { by: Number.MAX_VALUE }),
      'increment beyond what a number can hold',
      'INVALID_OPTIONS',
    );
    assertEqual(await cache.get('n'), Number.MAX_VALUE, 'the counter after a refused increment');
  });

  clause(
    'S3 P5',
    'an update that throws changes nothing, and its error comes out',
    async (bench) => {
      const cache = bench.open();
      await cache.set('u', 1);
      const error = await assertRejects(
        () =>
          cache.update('u', () => {
            throw new RangeError('no');
          }),
        'update',
      );
      assertEqual((error as Error).name, 'RangeError', 'the kind of error');
      assertEqual(await cache.get('u'), 1, 'the value');
    },
  );

  clause('S3', 'merge and update keep grace, sliding and tags', async (bench) => {
    const cache = bench.open();
    for (const key of ['m', 'u', 'n'])
      await cache.set(key, key === 'n' ? 1 : { a: 1 }, {
        ttl: bench.life,
        grace: '1h',
        tags: ['t'],
      });
    await cache.merge('m', { b: 2 }, { ttl: bench.life });
    await cache.update('u', () => ({ c: 3 }), { ttl: bench.life });
    await cache.increment('n');
    await bench.outlive();
    const stale = await cache.getMany(['m', 'u', 'n'], { allowStale: true });
    assertEqual(stale, [{ a: 1, b: 2 }, { c: 3 }, 2], 'the stale values');
    await cache.evictTags('t');
    const left = await cache.getMany(['m', 'u', 'n'], { allowStale: true });
    assertEqual(left, [undefined, undefined, undefined], 'what evicting their tag leaves');
  });
}
