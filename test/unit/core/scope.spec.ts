import { describe, expect, it } from '@jest/globals';
import { AsyncLocalStorage } from 'node:async_hooks';
import { ScopeTree } from '../../../lib/core/scope-tree.js';
import type { ScopeContext, ScopeIds } from '../../../lib/core/scope.js';
import { createTestCache } from '../../../lib/testing/create-test-cache.js';

const pathIn = (tree: ScopeTree, ids: ScopeIds) => tree.pathOf(ids, undefined).id;

/** Ids in an AsyncLocalStorage, as the Nest adapter has them. */
function contextOf(ids: Record<string, unknown>): ScopeContext {
  const store = new AsyncLocalStorage<ScopeIds>();
  return {
    idOf: (level) => store.getStore()?.[level.name] ?? ids[level.name],
    lookedAt: (level) => `user.${level.name}Id`,
    run: (given, work) => store.run(given, work),
  };
}

describe('ScopeTree', () => {
  const tree = new ScopeTree(['organization', 'user', 'session']);

  it('CA-22 a path names each level with its id; partial ids stop where they stop; none is global', () => {
    expect(pathIn(tree, { organization: 'org_123', user: 'user_456' })).toBe(
      'organization:org_123/user:user_456',
    );
    expect(pathIn(tree, { organization: 'org_123' })).toBe('organization:org_123');
    expect(tree.pathOf('global', undefined).id).toBe('');
    expect(tree.pathOf(undefined, undefined).toSelector()).toBe('global');
  });

  it('CA-26 ids that look like paths, separators, spaces and scripts stay one id', () => {
    for (const id of [
      '1/user:2',
      'a::b',
      ':',
      '/',
      ' ',
      '%',
      '漢字',
      '😀',
      '\0',
      '\ud800',
      '..',
      '__proto__',
    ])
      expect(tree.parse(pathIn(tree, { organization: id }))?.toSelector()).toEqual({
        organization: id,
      });
    expect(pathIn(tree, { organization: '1/user:2' })).not.toBe(
      pathIn(tree, { organization: '1', user: '2' }),
    );
  });

  it('numbers and bigints name the same scope as their decimal text', () => {
    expect(pathIn(tree, { organization: 5 })).toBe(pathIn(tree, { organization: '5' }));
    expect(pathIn(tree, { organization: 5n })).toBe(pathIn(tree, { organization: '5' }));
  });

  it('the order of the ids in the selector does not matter', () => {
    expect(pathIn(tree, { user: 'u', organization: 'o' })).toBe(
      pathIn(tree, { organization: 'o', user: 'u' }),
    );
  });

  it('ids that are inherited are not given', () => {
    const inherited = Object.assign(Object.create({ organization: 'o' }) as object, { user: 'u' });
    expect(() => pathIn(tree, inherited as ScopeIds)).toThrow(/organization/);
  });

  it('CA-17 CA-18 P3 a missing id is an error that names the level, every ancestor required', () => {
    expect(() => pathIn(tree, { organization: 'o', session: 's' })).toThrow(/user/);
    expect(() => pathIn(tree, { user: 'u' })).toThrow(
      expect.objectContaining({ code: 'MISSING_SCOPE', level: 'organization' }) as unknown as Error,
    );
    expect(() => tree.pathOf('user', undefined)).toThrow(/no request context.*runInScope/s);
  });

  it('CA-19 an unknown level is an error that lists the known ones', () => {
    expect(() => pathIn(tree, { team: 't' })).toThrow(
      /Unknown scope level "team".*organization, user, session/s,
    );
  });

  it('CA-23 CA-24 independent trees stand side by side, and one id does not leak into the other', () => {
    const forest = new ScopeTree([
      { name: 'org', children: [{ name: 'user' }] },
      { name: 'tenant', children: [{ name: 'project' }] },
    ]);
    expect(pathIn(forest, { tenant: '1', project: 'p' })).toBe('tenant:1/project:p');
    expect(pathIn(forest, { org: '1', user: 'u' })).toBe('org:1/user:u');
    expect(() => pathIn(forest, { tenant: '1', org: '9' })).toThrow(/different branches/);
    expect(
      forest.pathOf({ tenant: '1' }, undefined).isWithin(forest.pathOf({ org: '1' }, undefined)),
    ).toBe(false);
  });

  it('CA-29 a descendant is told by whole ids, not by a prefix', () => {
    const at = (ids: ScopeIds) => tree.pathOf(ids, undefined);
    const one = at({ organization: '1' });
    expect(at({ organization: '12' }).isWithin(one)).toBe(false);
    expect(at({ organization: '1', user: 'u' }).isWithin(one)).toBe(true);
    expect(one.isWithin(one)).toBe(true);
    expect(one.isWithin(tree.pathOf('global', undefined))).toBe(true);
    expect(tree.pathOf('global', undefined).isWithin(one)).toBe(false);
    expect(at({ organization: '1', user: 'u' }).parent?.id).toBe('organization:1');
    expect(one.parent?.parent).toBeUndefined();
  });

  it('CA-50 names: empty, malformed, reserved and repeated ones are refused; lists are copies', () => {
    for (const levels of [
      [''],
      ['a b'],
      ['1a'],
      ['global'],
      ['a', 'a'],
      [{ name: 'a', children: ['a'] }],
      [5],
      [null],
      'org',
      {},
      [{ name: 'a', resolve: 5 }],
      [{ name: 'a', children: 'b' }],
    ])
      expect(() => new ScopeTree(levels as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTIONS' }) as unknown as Error,
      );
    tree.names.push('x');
    tree.levels.pop();
    expect(tree.names).toEqual(['organization', 'user', 'session']);
    expect(tree.levels).toHaveLength(3);
  });

  it('parse takes no path of another tree', () => {
    expect(tree.parse('team:1')).toBeUndefined();
    expect(tree.parse('user:1')).toBeUndefined();
    expect(tree.parse('organization:1/session:2')).toBeUndefined();
    expect(tree.parse('organization:a b')).toBeUndefined();
  });
});

describe('a cache’s scopes', () => {
  it('CA-15 CA-16 users are isolated; a level name takes its ids from the context; explicit ids win', async () => {
    const cache = createTestCache({}, { context: contextOf({ org: 'o', user: '123' }) });
    await cache.set('k', 'theirs', { scope: { org: 'o', user: '456' } });
    await cache.set('k', 'mine', { scope: 'user' });
    expect(await cache.get('k', { scope: 'user' })).toBe('mine');
    expect(await cache.get('k', { scope: { org: 'o', user: '123' } })).toBe('mine');
    expect(await cache.get('k', { scope: { org: 'o', user: '456' } })).toBe('theirs');
  });

  it('CA-25 an entry is at the level that was asked for, whatever else is known', async () => {
    const cache = createTestCache({}, { context: contextOf({ org: 'o', user: '123' }) });
    await cache.set('k', 'of the org', { scope: 'org' });
    expect(await cache.get('k', { scope: { org: 'o' } })).toBe('of the org');
    expect(await cache.get('k', { scope: 'user' })).toBeUndefined();
  });

  it('P3 a missing id never falls back to a wider scope', async () => {
    const cache = createTestCache({}, { context: contextOf({ org: 'o', user: undefined }) });
    await cache.set('k', 'of the org', { scope: 'org' });
    await cache.set('k', 'global');
    for (const id of [undefined, null, ''])
      await expect(
        createTestCache({}, { context: contextOf({ org: 'o', user: id }) }).get('k', {
          scope: 'user',
        }),
      ).rejects.toMatchObject({ code: 'MISSING_SCOPE', level: 'user' });
    await expect(cache.get('k', { scope: 'user' })).rejects.toThrow(/looked at: user\.userId/);
  });

  it('runInScope answers for level names through awaits, and checks its ids first', async () => {
    const cache = createTestCache({}, { context: contextOf({}) });
    await cache.runInScope({ org: 'o', user: 'u' }, async () => {
      await Promise.resolve();
      await cache.set('k', 1, { scope: 'user' });
    });
    expect(await cache.get('k', { scope: { org: 'o', user: 'u' } })).toBe(1);
    expect(() => cache.runInScope({ user: 'u' }, () => 1)).toThrow(/org/);
  });
});
