import type { Cache } from '../../core/cache.js';
import { assert, assertEqual } from '../assertions.js';
import { deferred } from '../deferred.js';
import type { StorageClause } from './storage-bench.js';

const WHERE = { scope: { org: 'o', user: 'u' } };

/** Everything that outdates what a load may have read. */
const OUTDATING: readonly (readonly [string, (cache: Cache) => Promise<unknown>])[] = [
  ['delete', (cache) => cache.delete('k', WHERE)],
  ['deleteMany', (cache) => cache.deleteMany(['k'], WHERE)],
  ['evictScope of its scope', (cache) => cache.evictScope({ org: 'o', user: 'u' })],
  ['evictScope of an ancestor', (cache) => cache.evictScope({ org: 'o' })],
  ['evictScope of everything', (cache) => cache.evictScope('global')],
  ['evictTags', (cache) => cache.evictTags('t', { scope: { org: 'o' } })],
  ['clear', (cache) => cache.clear()],
  ['set with ttl 0', (cache) => cache.set('k', 'x', { ...WHERE, ttl: 0 })],
];

/** S3, P5, P9: fences and single-flight. `shared`: entries are seen by other caches on the same storage. */
export function fenceClauses(clause: StorageClause, shared: boolean, inFleet: boolean): void {
  for (const [name, outdate] of OUTDATING) {
    clause('S3 P5', `after ${name} nothing older is read`, async (bench) => {
      const cache = bench.open();
      const other = shared ? bench.open() : cache;
      await cache.set('k', 'old', { ...WHERE, tags: ['t'] });
      assertEqual(await other.get('k', WHERE), 'old', 'before');
      await outdate(cache);
      if (other !== cache) await bench.spread();
      for (const reader of [cache, other]) {
        assertEqual(await reader.get('k', WHERE), undefined, 'get, after');
        assertEqual(await reader.has('k', WHERE), false, 'has, after');
        assertEqual(await reader.getMany(['k'], WHERE), [undefined], 'getMany, after');
      }
    });

    clause(
      'S3 P5',
      `a load that began before ${name} is never stored, nor joined after it`,
      async (bench) => {
        const cache = bench.open();
        const evictor = inFleet ? bench.open() : cache;
        const source = deferred<string>();
        const started = deferred();
        const options = { ...WHERE, tags: ['t'] };
        const early = cache.getOrSet('k', () => (started.resolve(), source.promise), options);
        await started.promise;
        await outdate(evictor);
        if (evictor !== cache) await bench.spread();
        const late = cache.getOrSet('k', () => 'new', options);
        source.resolve('old');
        assertEqual(await early, 'old', 'what the early caller gets');
        assertEqual(await late, 'new', 'what the late caller gets');
        assertEqual(await cache.get('k', WHERE), 'new', 'what is cached');
        await cache.delete('k', WHERE);
        assertEqual(cache.loadsUnderWay, 0, 'loads under way at the end');
      },
    );
  }

  clause('S3 P5', 'a set beats a load that began before it', async (bench) => {
    const cache = bench.open();
    const writer = inFleet ? bench.open() : cache;
    const source = deferred<string>();
    const started = deferred();
    const load = cache.getOrSet('k', () => (started.resolve(), source.promise), WHERE);
    await started.promise;
    await writer.set('k', 'new', WHERE);
    if (writer !== cache) await bench.spread();
    source.resolve('old');
    assertEqual(await load, 'old', 'what the caller of the load gets');
    assertEqual(await cache.get('k', WHERE), 'new', 'what is cached');
  });

  clause('S3 P5', 'tags that only the loader knows are fenced as well', async (bench) => {
    const cache = bench.open();
    const source = deferred<string>();
    const started = deferred();
    const load = cache.getOrSet(
      'k',
      async (context) => {
        started.resolve();
        const value = await source.promise;
        context.addTags('late');
        return value;
      },
      WHERE,
    );
    await started.promise;
    await cache.evictTags('late', { scope: { org: 'o' } });
    source.resolve('old');
    assertEqual(await load, 'old', 'what the caller of the load gets');
    assertEqual(await cache.get('k', WHERE), undefined, 'what is cached');
    await cache.getOrSet('k', (context) => (context.addTags('late'), 'new'), WHERE);
    assertEqual(await cache.get('k', WHERE), 'new', 'a load after the eviction');
    await cache.evictTags('late');
    assertEqual(await cache.get('k', WHERE), undefined, 'after the tag was evicted');
  });

  clause('S3 P5', 'bulk loads are fenced key by key', async (bench) => {
    const cache = bench.open();
    const source = deferred();
    const started = deferred();
    const load = cache.getOrSetMany(
      ['a', 'b'],
      async (keys) => {
        started.resolve();
        await source.promise;
        return keys.map((key) => `${key} old`);
      },
      WHERE,
    );
    await started.promise;
    await cache.delete('a', WHERE);
    source.resolve();
    assertEqual(await load, ['a old', 'b old'], 'what the caller gets');
    assertEqual(await cache.getMany(['a', 'b'], WHERE), [undefined, 'b old'], 'what is cached');
  });

  clause(
    'P9',
    'many callers share one load, its result and its error; the next call tries again',
    async (bench) => {
      const cache = bench.open();
      let loads = 0;
      const failing = Array.from({ length: 20 }, () =>
        cache.getOrSet('k', async () => {
          loads++;
          await Promise.resolve();
          throw new RangeError('source');
        }),
      );
      const ends = await Promise.allSettled(failing);
      assertEqual(loads, 1, 'the loads of 20 callers');
      assert(
        ends.every(
          (end) => end.status === 'rejected' && (end.reason as Error).name === 'RangeError',
        ),
        'Not every caller got the loader’s error.',
      );
      const values = await Promise.all(
        Array.from({ length: 20 }, () => cache.getOrSet('k', async () => ++loads)),
      );
      assertEqual(new Set(values).size, 1, 'the different values of 20 callers');
      assertEqual(loads, 2, 'the loads in all');
      assertEqual(cache.loadsUnderWay, 0, 'loads under way at the end');
    },
  );

  if (!inFleet) return;
  clause('P9', 'caches on one storage load a key once between them', async (bench) => {
    const caches = [bench.open(), bench.open(), bench.open()];
    let loads = 0;
    const values = await Promise.all(
      caches.map((cache) =>
        cache.getOrSet('k', async () => {
          loads++;
          for (let turn = 0; turn < 20; turn++) await Promise.resolve();
          return 'v';
        }),
      ),
    );
    assertEqual(values, ['v', 'v', 'v'], 'what the callers get');
    assertEqual(loads, 1, 'the loads');
  });
}
