import { isDriver } from '../../core/storage.js';
import { assert, assertEqual, assertRejects } from '../assertions.js';
import { FaultyStorage } from '../faulty-storage.js';
import type { StorageClause } from './storage-bench.js';

/** S6, S7, P8, P12: what faults come to, made by a wrapper around the storage. */
export function faultClauses(clause: StorageClause): void {
  clause(
    'S7 P12',
    'a read that fails is a miss, or an error when asked for, and never a wrong value',
    async (bench) => {
      const faulty = new FaultyStorage(bench.storage, bench.clock);
      const strict = bench.open({ storage: faulty.wrapped });
      await strict.set('k', 'v');
      faulty.failNext(1);
      await assertRejects(() => strict.get('k'), 'a failing read', 'STORAGE_UNAVAILABLE');
      assertEqual(await strict.get('k'), 'v', 'the read after it');
      const lenient = bench.open({ storage: faulty.wrapped, onStorageError: 'degrade' });
      faulty.failNext(1);
      assertEqual(await lenient.get('k'), undefined, 'a failing read, degraded');
      faulty.recover();
    },
  );

  clause(
    'S7 P13',
    'an eviction that fails holds at once and reaches the storage later',
    async (bench) => {
      const faulty = new FaultyStorage(bench.storage, bench.clock);
      const cache = bench.open({ storage: faulty.wrapped, onStorageError: 'degrade' });
      await cache.set('k', 'v', { scope: { org: 'o' } });
      faulty.failNext(Infinity);
      await cache.evictScope({ org: 'o' });
      faulty.recover();
      assertEqual(
        await cache.get('k', { scope: { org: 'o' } }),
        undefined,
        'a read after recovery',
      );
    },
  );

  clause(
    'S6 P8',
    'losing any one record of the storage’s own can only cause misses',
    async (bench) => {
      if (isDriver(bench.storage)) return;
      const { storage } = bench;
      if (!storage.keys) return;
      const cache = bench.open();
      const before = new Set<string>();
      for await (const key of storage.keys('')) before.add(key);
      await cache.set('k', 'old', { scope: { org: 'o' }, tags: ['t'] });
      const own: string[] = [];
      for await (const key of storage.keys('')) if (!before.has(key)) own.push(key);
      assert(own.length > 1, 'Expected the entry and its epochs among the keys.');
      for (const key of own) {
        await cache.set('k', 'old', { scope: { org: 'o' }, tags: ['t'] });
        await cache.evictTags('t');
        await storage.delete(key);
        assertEqual(await cache.get('k', { scope: { org: 'o' } }), undefined, 'an evicted entry');
        await cache.set('k', 'new', { scope: { org: 'o' }, tags: ['t'] });
        await storage.delete(key);
        const found = await cache.get('k', { scope: { org: 'o' } });
        assert(
          found === undefined || found === 'new',
          `A lost record brought back ${String(found)}.`,
        );
      }
    },
  );
}
