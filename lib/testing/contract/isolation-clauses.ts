import type { ScopeSelector } from '../../core/scope.js';
import { assert, assertEqual } from '../assertions.js';
import { AWKWARD_TEXTS } from './awkward.js';
import type { StorageClause } from './storage-bench.js';

const NAMED: (text: string) => string = (text) =>
  text.length > 40
    ? `${JSON.stringify(text.slice(0, 10))}… (${text.length})`
    : JSON.stringify(text);

/** P1, P4, P14, S2: what one scope, key or namespace does never shows in another. */
export function isolationClauses(clause: StorageClause, lists: boolean): void {
  clause('P1 S2', 'tenants with awkward ids never read each other’s entries', async (bench) => {
    const cache = bench.open();
    for (const org of AWKWARD_TEXTS) await cache.set('k', `of ${org}`, { scope: { org } });
    for (const org of AWKWARD_TEXTS)
      assertEqual(
        await cache.get('k', { scope: { org } }),
        `of ${org}`,
        `the entry of ${NAMED(org)}`,
      );
    assertEqual(await cache.get('k'), undefined, 'the same key in the global scope');
  });

  clause('P1 P4', 'awkward keys of one scope never meet', async (bench) => {
    const cache = bench.open();
    for (const key of AWKWARD_TEXTS) await cache.set(key, `at ${key}`);
    for (const key of AWKWARD_TEXTS)
      assertEqual(await cache.get(key), `at ${key}`, `the entry at ${NAMED(key)}`);
    for (const [one, other] of [
      [
        ['a:b', 'c'],
        ['a', 'b:c'],
      ],
      [
        ['k', 1],
        ['k', '1'],
      ],
      [['k'], ['k', undefined]],
    ] as const) {
      await cache.set(one, 'one');
      await cache.set(other, 'other');
      assertEqual(await cache.get(one), 'one', `the entry at ${JSON.stringify(one)}`);
    }
  });

  clause('P1 S2', 'ids that spell a deeper or another path are not that path', async (bench) => {
    const cache = bench.open();
    const scopes: ScopeSelector[] = [
      { org: '1', user: '2' },
      { org: '1/user:2' },
      { org: '1', user: '2', session: '3' },
      { org: '1', user: '2/session:3' },
      { org: 'org:1' },
      { org: '1' },
      { org: '12' },
      { org: '1', user: '22' },
    ];
    for (const scope of scopes) await cache.set('k', JSON.stringify(scope), { scope });
    for (const scope of scopes)
      assertEqual(await cache.get('k', { scope }), JSON.stringify(scope), 'the entry of its scope');
  });

  clause(
    'P1 S2',
    'evicting a tenant with an awkward id leaves every other one alone',
    async (bench) => {
      const cache = bench.open();
      for (const evicted of AWKWARD_TEXTS.slice(0, 20)) {
        for (const org of AWKWARD_TEXTS.slice(0, 20))
          await cache.set('k', org, { scope: { org, user: 'u' } });
        await cache.evictScope({ org: evicted });
        for (const org of AWKWARD_TEXTS.slice(0, 20))
          assertEqual(
            await cache.get('k', { scope: { org, user: 'u' } }),
            org === evicted ? undefined : org,
            `${NAMED(org)} after the eviction of ${NAMED(evicted)}`,
          );
      }
    },
  );

  clause(
    'P1 S2',
    'first writes of one moment, in scopes that lie below one another, are all there',
    async (bench) => {
      const cache = bench.open();
      const scopes: ScopeSelector[] = [
        'global',
        { org: 'o', user: 'u', session: 's' },
        { org: 'o' },
        { org: 'p', user: 'u' },
        { org: 'o', user: 'u' },
        { org: 'o', user: 'v' },
      ];
      for (const round of ['new', 'evicted']) {
        await Promise.all(scopes.map((scope) => cache.set('k', round, { scope })));
        for (const scope of scopes)
          assertEqual(await cache.get('k', { scope }), round, `${round}: ${JSON.stringify(scope)}`);
        await cache.evictScope('global');
      }
    },
  );

  clause('P1 S2', 'a write, a delete and a counter touch their own place only', async (bench) => {
    const cache = bench.open();
    const here = { scope: { org: 'o', user: 'u' } };
    const elsewhere = [{ org: 'o', user: 'v' }, { org: 'p', user: 'u' }, { org: 'o' }];
    for (const scope of elsewhere) await cache.set('k', 'theirs', { scope });
    await cache.set('k', 1, here);
    await cache.increment('k', here);
    await cache.delete('k', here);
    for (const scope of elsewhere)
      assertEqual(
        await cache.get('k', { scope }),
        'theirs',
        `the entry of ${JSON.stringify(scope)}`,
      );
  });

  clause(
    'P1 S2',
    'an inherited read finds the nearest value on its own path and none beside it',
    async (bench) => {
      const cache = bench.open();
      const session = { org: 'o', user: 'u', session: 's' };
      const found = async () => {
        const one = await cache.getInherited('k', { scope: session });
        return one.hit && [one.value, one.scope];
      };
      for (const scope of [{ org: 'p' }, { org: 'o', user: 'v' }, { ...session, session: 's2' }])
        await cache.set('k', 'beside', { scope });
      assertEqual(await found(), false, 'with values beside the path only');
      for (const scope of ['global', { org: 'o' }, { org: 'o', user: 'u' }, session] as const) {
        await cache.set('k', scope, { scope });
        assertEqual(await found(), [scope, scope], 'the nearest one');
      }
      await cache.delete('k', { scope: session });
      const user = { org: 'o', user: 'u' };
      assertEqual(await found(), [user, user], 'after the nearest was deleted');
    },
  );

  clause('P1 S3', 'evicting tags stays within the scope that was named', async (bench) => {
    const cache = bench.open();
    for (const org of ['*', 'o', 'o2'])
      await cache.set('k', org, { scope: { org, user: 'u' }, tags: ['t', '*'] });
    await cache.set('other', 1, { scope: { org: 'o' }, tags: ['T'] });
    await cache.evictTags(['t'], { scope: { org: 'o' } });
    assertEqual(
      await cache.get('k', { scope: { org: 'o', user: 'u' } }),
      undefined,
      'the tagged entry',
    );
    assertEqual(await cache.get('other', { scope: { org: 'o' } }), 1, 'the entry with another tag');
    assertEqual(
      await cache.get('k', { scope: { org: '*', user: 'u' } }),
      '*',
      'the entry of org "*"',
    );
    assertEqual(
      await cache.get('k', { scope: { org: 'o2', user: 'u' } }),
      'o2',
      'the entry of org "o2"',
    );
  });

  clause(
    'P14',
    'clear removes this namespace and nothing of one that looks like it',
    async (bench) => {
      const cache = bench.open();
      const others = bench.lookalikeNamespaces.map((namespace) => bench.open({ namespace }));
      await cache.set('k', 'ours', { scope: { org: 'o' } });
      await cache.set('k', 'ours');
      for (const other of others) await other.set('k', 'theirs', { scope: { org: 'o' } });
      await cache.clear();
      assertEqual(await cache.get('k'), undefined, 'our global entry');
      assertEqual(await cache.get('k', { scope: { org: 'o' } }), undefined, 'our scoped entry');
      for (const other of others)
        assertEqual(
          await other.get('k', { scope: { org: 'o' } }),
          'theirs',
          `the entry of namespace ${JSON.stringify(other.namespace)}`,
        );
      for (const other of others) await other.clear();
    },
  );

  if (!lists) return;
  clause(
    'P1 S5',
    'listings and counts show the scope that was asked for, and nothing else',
    async (bench) => {
      const cache = bench.open();
      for (const org of AWKWARD_TEXTS)
        for (const user of ['u', '*']) await cache.set('k', org, { scope: { org, user } });
      for (const org of AWKWARD_TEXTS) {
        assertEqual(await cache.size({ scope: { org } }), 2, `the size of ${NAMED(org)}`);
        let seen = 0;
        for await (const line of cache.entries({ scope: { org }, deep: true })) {
          assert(
            typeof line.scope === 'object' && line.scope['org'] === org && line.value === org,
            `A listing of ${NAMED(org)} showed an entry of another scope: ${JSON.stringify(line.scope)}.`,
          );
          seen++;
        }
        assertEqual(seen, 2, `the lines in a listing of ${NAMED(org)}`);
      }
    },
  );
}
