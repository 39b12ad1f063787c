import { assert, assertEqual, assertRejects } from '../assertions.js';
import { AWKWARD_VALUES } from './awkward.js';
import type { Cache } from '../../core/cache.js';
import type { StorageBench, StorageClause } from './storage-bench.js';

/** S4, P10, P11: what comes back. `isShared`: several caches see each other's entries. */
export function valueClauses(clause: StorageClause, isShared: boolean): void {
  if (isShared) unreadableClauses(clause);

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
    "with isolation 'frozen' whatever is handed out cannot be changed",
    async (bench) => {
      const cache = bench.open({ isolation: 'frozen' });
      const make = (): { list: number[]; bytes?: Uint8Array } => ({ list: [1] });
      await cache.set('k', make());
      await cache.set('b', { ...make(), bytes: new Uint8Array(1) });
      const handedOut: Record<string, unknown> = {
        get: await cache.get('k'),
        getMany: (await cache.getMany(['k']))[0],
        getOrSet: await cache.getOrSet('l', make),
        getOrSetMany: (await cache.getOrSetMany(['m'], () => [make()]))[0],
        update: await cache.update('u', make),
        merge: await cache.merge('k', { more: 1 }),
        'get after merge': await cache.get('k'),
      };
      for (const [name, value] of Object.entries(handedOut)) {
        const { list } = value as { list: number[] };
        await assertRejects(async () => list.push(2), `changing what ${name} gave`);
        await assertRejects(
          async () => Object.assign(value as object, { list: [] }),
          `changing what ${name} gave`,
        );
      }
      assertEqual(await cache.get('k'), { list: [1], more: 1 }, 'the value');
      const merged = await cache.merge<{ bytes: Uint8Array }>('b', {});
      merged.bytes[0] = 9;
      assertEqual((await cache.get<typeof merged>('b'))?.bytes[0], 0, 'a byte of the value');
    },
  );

  clause('S5 P11', "with isolation 'frozen' what is listed cannot be changed", async (bench) => {
    const cache = bench.open({ isolation: 'frozen' });
    await cache.set('k', { list: [1] });
    for await (const { value } of cache.entries<{ list: number[] }>())
      await assertRejects(async () => value.list.push(2), 'changing what entries gave');
    assertEqual(await cache.get('k'), { list: [1] }, 'the value');
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

/** A class that only the cache that writes knows. */
class Known {
  readonly field = 1;
}

/** Another version of the application may have written what this one cannot read. */
function unreadableClauses(clause: StorageClause): void {
  const scope = { org: 'o' };

  async function writeBoth(bench: StorageBench, writer: Cache): Promise<void> {
    await writer.set('u', new Known(), { scope, tags: ['t'], type: () => Known });
    await writer.set('p', 1, { scope, tags: ['t'] });
    await bench.spread();
  }

  clause('S4 P10', 'an entry whose value cannot be read is a miss, alone', async (bench) => {
    const [writer, reader] = [bench.open(), bench.open()];
    await writeBoth(bench, writer);
    assertEqual(await reader.getMany(['u', 'p'], { scope }), [undefined, 1], 'getMany');
    const update = (current: unknown): string => (current === undefined ? 'anew' : 'from it');
    assertEqual(await reader.update('u', update, { scope }), 'anew', 'update');
    await writeBoth(bench, writer);
    assertEqual(await reader.increment('u', { scope }), 1, 'increment');
    await writeBoth(bench, writer);
    const loaded = [
      await reader.getOrSet('u', () => 'first', { scope }),
      await reader.getOrSet('u', () => 'second', { scope }),
    ];
    assertEqual(loaded, ['first', 'first'], 'what two calls of getOrSet bring');
  });

  clause('S5 P10', 'an entry whose value cannot be read is left out of entries', async (bench) => {
    const [writer, reader] = [bench.open(), bench.open()];
    await writeBoth(bench, writer);
    const listed: unknown[] = [];
    for await (const { key } of reader.entries({ scope })) listed.push(key);
    assertEqual(listed, ['p'], 'the keys of entries');
  });

  clause(
    'S2 P5 P13',
    'an entry whose value cannot be read is evicted with the others',
    async (bench) => {
      const [writer, reader] = [bench.open(), bench.open()];
      const evictions: Record<string, () => Promise<unknown>> = {
        evictTags: () => reader.evictTags('t', { scope }),
        evictScope: () => reader.evictScope(scope),
        deleteMany: () => reader.deleteMany(['u', 'p'], { scope }),
      };
      for (const [name, evict] of Object.entries(evictions)) {
        await writeBoth(bench, writer);
        await evict();
        await bench.spread();
        const left = [await writer.has('u', { scope }), await writer.has('p', { scope })];
        assertEqual(left, [false, false], `has, after ${name}`);
      }
    },
  );
}
