import { assert, assertEqual, assertRejects } from '../assertions.js';
import { AWKWARD_VALUES } from './awkward.js';
import type { StorageClause } from './storage-bench.js';

/** S4, P10, P11: what comes back. */
export function valueClauses(clause: StorageClause): void {
  for (const [name, value] of AWKWARD_VALUES)
    clause('S4 P10', `${name} is stored, is a hit, and comes back as it was`, async (bench) => {
      const cache = bench.open();
      await cache.set('k', value, { scope: { org: 'o' } });
      const found = await cache.lookup('k', { scope: { org: 'o' } });
      assert(found.hit, 'lookup: expected a hit, got a miss.');
      assertEqual(found.value, value, 'the value from lookup');
      assertEqual(await cache.has('k', { scope: { org: 'o' } }), true, 'has');
      assertEqual(await cache.get('k', { scope: { org: 'o' }, default: 'd' }), value, 'get');
      const [many] = await cache.getMany(['k'], { scope: { org: 'o' } });
      assertEqual(many, value, 'the value from getMany');
      const loaded = await cache.getOrSet('k', () => 'loaded', { scope: { org: 'o' } });
      assertEqual(loaded, value, 'the value from getOrSet');
    });

  clause('S4 P10', 'a miss is distinct from every value', async (bench) => {
    const cache = bench.open();
    assertEqual(await cache.lookup('k'), { hit: false }, 'lookup of nothing');
    assertEqual(await cache.get('k', { default: 'd' }), 'd', 'get of nothing, with a default');
    let loads = 0;
    const load = (): undefined => void loads++;
    await cache.getOrSet('u', load);
    await cache.getOrSet('u', load);
    assertEqual(loads, 1, 'the loads of a value that is undefined');
  });

  clause('P10', 'what cannot be stored is refused, and the old value stays', async (bench) => {
    const cache = bench.open();
    await cache.set('k', 'old');
    for (const value of [() => 1, { a: Symbol('s') }, { deep: [new WeakMap()] }]) {
      await assertRejects(
        () => cache.set('k', value),
        'set of what cannot be stored',
        'SERIALIZATION',
      );
      assertEqual(await cache.get('k'), 'old', 'the value before');
    }
  });

  clause(
    'P11',
    'what callers do to objects they passed in or got back changes nothing',
    async (bench) => {
      const cache = bench.open();
      const given = { list: [1], when: new Date(5), map: new Map([['a', { b: 1 }]]) };
      const kept = { list: [1], when: new Date(5), map: new Map([['a', { b: 1 }]]) };
      const spoil = (value: typeof given): void => {
        value.list.push(2);
        value.when.setTime(6);
        value.map.get('a')!.b = 2;
      };
      await cache.set('k', given);
      spoil(given);
      assertEqual(await cache.get('k'), kept, 'after the passed object changed');
      spoil((await cache.get<typeof given>('k'))!);
      assertEqual(await cache.get('k'), kept, 'after the returned object changed');
      const [first, second] = await Promise.all([
        cache.getOrSet('l', () => ({ ...kept })),
        cache.getOrSet('l', () => ({ ...kept })),
      ]);
      assert(first !== second, 'Two callers of one load got the same object.');
      first.list.push(9);
      assertEqual(second.list, [1], 'what the other caller of the load got');
      assertEqual((await cache.get<typeof given>('l'))?.list, [1], 'what the load stored');
    },
  );

  clause('S4', 'a value of 1 MB and a key of 60 kB come back whole', async (bench) => {
    const cache = bench.open();
    const value = { text: 'ü'.repeat(500_000) };
    const key = 'k'.repeat(60_000);
    await cache.set(key, value, { scope: { org: 'o'.repeat(60_000) } });
    assertEqual(await cache.get(key, { scope: { org: 'o'.repeat(60_000) } }), value, 'the value');
    assertEqual(
      await cache.get(`${key}k`, { scope: { org: 'o'.repeat(60_000) } }),
      undefined,
      'a longer key',
    );
  });

  clause(
    'S4',
    'bulk calls answer in the order of the keys, for repeated and missing ones too',
    async (bench) => {
      const cache = bench.open();
      await cache.setMany({ a: 1, b: undefined, c: 3 }, { scope: { org: 'o' } });
      const keys = ['c', 'missing', 'a', 'c', 'b'];
      assertEqual(
        await cache.getMany(keys, { scope: { org: 'o' } }),
        [3, undefined, 1, 3, undefined],
        'getMany',
      );
      assertEqual(
        await cache.deleteMany(['a', 'missing'], { scope: { org: 'o' } }),
        1,
        'deleteMany',
      );
      assertEqual(await cache.deleteMany([]), 0, 'deleteMany of nothing');
    },
  );
}
