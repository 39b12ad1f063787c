import { describe, expect, it, jest } from '@jest/globals';
import type { Cache } from '../../../lib/core/cache.js';
import type { EvictionRule, RuleEffect } from '../../../lib/core/eviction/eviction-rule.js';
import { lru } from '../../../lib/core/eviction/lru.js';
import { maxItems } from '../../../lib/core/eviction/max-items.js';
import { ScopeTree } from '../../../lib/core/scope-tree.js';
import { timeToLive } from '../../../lib/core/eviction/time-to-live.js';
import { createTestCache } from '../../../lib/testing/create-test-cache.js';
import { deferred } from '../../../lib/testing/deferred.js';
import { ManualClock } from '../../../lib/testing/manual-clock.js';
import { RecordingListener } from '../../../lib/testing/recording-listener.js';
import { MemoryBranch } from '../../../lib/storages/memory/memory-branch.js';
import {
  memoryStorage,
  type MemoryStorageOptions,
} from '../../../lib/storages/memory/memory-storage.js';

function setUp(rules: EvictionRule[], memory: MemoryStorageOptions = {}) {
  const clock = new ManualClock();
  const listener = new RecordingListener();
  const cache = createTestCache(
    { storage: memoryStorage(memory), rules, listener, ttl: 100 },
    { clock },
  );
  return { cache, clock, listener };
}

const keysOf = async (cache: Cache) => {
  const keys: unknown[] = [];
  for await (const key of cache.keys({ deep: true })) keys.push(key);
  return keys.sort();
};

describe('lru', () => {
  it('CA-32 the longest unused leaves; a read counts as use; writing an existing key evicts nothing', async () => {
    const { cache } = setUp([lru({ max: 2 })]);
    for (const key of ['k1', 'k2', 'k3']) await cache.set(key, 1);
    expect(await keysOf(cache)).toEqual(['k2', 'k3']);
    await cache.get('k2');
    await cache.set('k4', 1);
    expect(await keysOf(cache)).toEqual(['k2', 'k4']);
    await cache.set('k2', 2);
    await cache.set('k2', 3);
    expect(await keysOf(cache)).toEqual(['k2', 'k4']);
  });

  it('has and listings are no use', async () => {
    const { cache } = setUp([lru({ max: 2 })]);
    await cache.setMany({ a: 1, b: 1 });
    await cache.has('a');
    await keysOf(cache);
    await cache.set('c', 1);
    expect(await keysOf(cache)).toEqual(['b', 'c']);
  });

  it('P16 what it does not look at makes no room when it is replaced', async () => {
    const only = ({ tags }: { tags: readonly string[] }) => tags.includes('big');
    const { cache } = setUp([lru({ maxBytes: 20_000, only })]);
    const text = 'x'.repeat(4_000);
    await cache.set('a', text);
    await cache.set('b', text, { tags: ['big'] });
    await cache.set('c', text, { tags: ['big'] });
    await cache.set('a', text, { tags: ['big'] });
    expect(await keysOf(cache)).toEqual(['a', 'c']);
  });

  it('P16 remembers nothing of scopes in which nothing was ever small enough', () => {
    const made = jest.spyOn(Map.prototype, 'set');
    try {
      const rule = lru({ maxBytes: 1, per: 'org' }).fresh!({
        clock: new ManualClock(),
        scopes: new ScopeTree(['org']),
      });
      made.mockClear();
      const scope = new ScopeTree(['org']).pathOf({ org: 'o' }, undefined);
      made.mockClear();
      void rule.onSet!({ key: 'k', scope, tags: [], bytes: 2, storedAt: 0 }, undefined);
      expect(made).not.toHaveBeenCalled();
    } finally {
      made.mockRestore();
    }
  });

  it('P16 by bytes, also where the storage itself has no limit of bytes', async () => {
    const { cache } = setUp([lru({ maxBytes: 20_000 })], { maxBytes: Infinity });
    for (const key of ['a', 'b', 'c']) await cache.set(key, 'x'.repeat(4_000));
    expect(await keysOf(cache)).toEqual(['b', 'c']);
  });

  it('P16 by bytes; a value over the limit is refused and evicts nothing', async () => {
    const { cache } = setUp([lru({ maxBytes: 20_000 })]);
    await cache.set('a', 'x'.repeat(4_000));
    await cache.set('b', 'x'.repeat(4_000));
    await cache.set('huge', 'x'.repeat(40_000));
    expect(await keysOf(cache)).toEqual(['a', 'b']);
    await cache.set('c', 'x'.repeat(4_000));
    expect(await keysOf(cache)).toEqual(['b', 'c']);
    expect((await cache.stats()).evictions).toMatchObject({ size: 2 });
  });

  it('per level each scope is held to the limit by itself', async () => {
    const { cache } = setUp([lru({ max: 2, per: 'org' })]);
    for (const org of ['a', 'b'])
      for (const user of ['1', '2', '3']) await cache.set('k', 1, { scope: { org, user } });
    for (let at = 0; at < 5; at++) await cache.set(`global ${at}`, 1);
    expect(await cache.size({ scope: { org: 'a' } })).toBe(2);
    expect(await cache.size({ scope: { org: 'b' } })).toBe(2);
    expect(await cache.size()).toBe(9);
  });

  it('CA-41 only: at most 3 entries of one method, those of others untouched', async () => {
    const { cache } = setUp([
      lru({ max: 3, only: (entry) => entry.key.startsWith('["Users.find"') }),
    ]);
    for (let at = 0; at < 10; at++) {
      await cache.set(['Users.find', at], at);
      await cache.set(['Orders.find', at], at);
    }
    expect(await cache.size()).toBe(13);
    expect(
      await cache.getMany([
        ['Users.find', 6],
        ['Users.find', 7],
      ]),
    ).toEqual([undefined, 7]);
  });
});

describe('maxItems', () => {
  it('CA-34 a new key at the limit is refused, an existing one may be updated, and room that became free is used', async () => {
    const { cache } = setUp([maxItems({ max: 2 })]);
    for (const key of ['a', 'b', 'c']) await cache.set(key, key);
    expect(await keysOf(cache)).toEqual(['a', 'b']);
    await cache.set('a', 'again');
    expect(await cache.get('a')).toBe('again');
    await cache.delete('b');
    await cache.set('c', 'c');
    expect(await keysOf(cache)).toEqual(['a', 'c']);
    expect((await cache.stats()).evictions).toMatchObject({ 'max-items': 1 });
  });

  it('a refused value still reaches the caller of the load', async () => {
    const { cache } = setUp([maxItems({ max: 1 })]);
    await cache.set('a', 1);
    expect(await cache.getOrSetDetailed('b', () => 'loaded')).toMatchObject({
      value: 'loaded',
      stored: false,
      expiresAt: undefined,
    });
    expect(await cache.has('b')).toBe(false);
  });

  it('expired entries do not stand in the way of new ones', async () => {
    const { cache, clock } = setUp([maxItems({ max: 2 })]);
    await cache.setMany({ a: 1, b: 1 }, { ttl: 1 });
    clock.advance(1_000);
    await cache.set('c', 1);
    expect(await keysOf(cache)).toEqual(['c']);
  });

  it('counts again from nothing after clear and after an eviction', async () => {
    const { cache } = setUp([maxItems({ max: 2, per: 'org' })]);
    for (const empty of [() => cache.clear(), () => cache.evictScope({ org: 'o' })]) {
      for (const key of ['a', 'b', 'c']) await cache.set(key, 1, { scope: { org: 'o' } });
      expect(await cache.size()).toBe(2);
      await empty();
    }
    expect(await cache.size()).toBe(0);
  });
});

describe('timeToLive', () => {
  it('no entry lives longer, whatever its TTL, sliding, grace or touch', async () => {
    const { cache, clock } = setUp([timeToLive({ max: 10 })]);
    await cache.set('long', 1, { ttl: 'forever' });
    await cache.set('sliding', 1, { ttl: 6, sliding: true });
    await cache.set('graced', 1, { ttl: 5, grace: 60 });
    await cache.set('both', 1, { ttl: 4, grace: 60, sliding: true });
    await cache.set('touched', 1);
    for (let at = 0; at < 3; at++) {
      clock.advance(3_000);
      await cache.get('sliding');
      await cache.get('both');
      await cache.touch('touched', { ttl: 60 });
    }
    clock.advance(999);
    expect(await keysOf(cache)).toEqual(['both', 'long', 'sliding', 'touched']);
    clock.advance(1);
    expect(await keysOf(cache)).toEqual([]);
    expect(await cache.has('graced', { allowStale: true })).toBe(false);
    expect(await cache.has('both', { allowStale: true })).toBe(false);
  });

  it('CA-35 rules compose: lru and timeToLive, and what one removes the other forgets', async () => {
    const { cache, clock } = setUp([lru({ max: 2 }), timeToLive({ max: 5 })]);
    await cache.setMany({ a: 1, b: 1 });
    clock.advance(5_000);
    await cache.setMany({ c: 1, d: 1 });
    expect(await keysOf(cache)).toEqual(['c', 'd']);
    await cache.set('e', 1);
    expect(await keysOf(cache)).toEqual(['d', 'e']);
    expect(await cache.get('d')).toBe(1);
  });
});

describe('custom rules', () => {
  it('CA-36 E1 E2 E3 hooks: onSet before the write, onGet on a hit only, onEvict with the reason, onClear', async () => {
    const seen: string[] = [];
    const rule: EvictionRule = {
      name: 'watch',
      onSet: (entry, replaces) => void seen.push(`set ${entry.key}${replaces ? ' again' : ''}`),
      onGet: (entry) => void seen.push(`get ${entry.key}`),
      onEvict: (entry, reason) => void seen.push(`${reason} ${entry.key}`),
      onClear: () => void seen.push('clear'),
    };
    const { cache, clock } = setUp([rule]);
    await cache.get('missing');
    await cache.set('k', 1, { tags: ['t'] });
    await cache.get('k');
    await cache.set('k', 2, { tags: ['t'] });
    await cache.delete('k');
    await cache.set('k', 3, { tags: ['t'] });
    await cache.evictTags('t');
    await cache.set('k', 4, { ttl: 1 });
    clock.advance(1_000);
    await cache.get('k');
    await cache.set('k', 5, { scope: { org: 'o' } });
    await cache.evictScope({ org: 'o' });
    await cache.clear();
    expect(seen).toEqual([
      'set k',
      'get k',
      'set k again',
      'replaced k',
      'deleted k',
      'set k',
      'tag k',
      'set k',
      'expired k',
      'set k',
      'scope k',
      'clear',
    ]);
  });

  it('CA-37 each action is carried out: evict, set, get, clear', async () => {
    const answers: Record<string, RuleEffect> = {
      evict: { action: 'evict' },
      set: { action: 'set', key: 'made', value: { by: 'rule' }, ttl: 1 },
      get: { action: 'get' },
      clear: { action: 'clear' },
    };
    const rule: EvictionRule = { name: 'act', onGet: (entry) => answers[entry.key] };
    const { cache, clock } = setUp([rule]);
    await cache.setMany({ evict: 1, set: 1, get: 1, clear: 1 });
    expect(await cache.get('evict')).toBe(1);
    expect(await cache.has('evict')).toBe(false);
    await cache.get('set');
    expect(await cache.get('made')).toEqual({ by: 'rule' });
    clock.advance(1_000);
    expect(await cache.has('made')).toBe(false);
    await cache.get('get');
    await cache.get('clear');
    expect(await cache.size()).toBe(0);
  });

  it('CA-37 an unknown action is reported, and does not break the read', async () => {
    const rule = { name: 'odd', onGet: () => ({ action: 'explode' }) } as unknown as EvictionRule;
    const { cache, listener } = setUp([rule]);
    await cache.set('k', 1);
    expect(await cache.get('k')).toBe(1);
    expect(listener.faults).toMatchObject([{ during: 'rule odd' }]);
  });

  it('CA-37 a rule that throws or rejects is reported, and breaks neither reads nor writes', async () => {
    for (const fail of [
      () => {
        throw new Error('rule');
      },
      () => Promise.reject(new Error('rule')),
    ]) {
      const { cache, listener } = setUp([
        { name: 'broken', onGet: fail, onSet: fail, onEvict: fail, onClear: fail },
      ]);
      await cache.set('k', 1);
      expect(await cache.get('k')).toBe(1);
      await cache.delete('k');
      await cache.clear();
      expect(listener.faults).toHaveLength(4);
    }
  });

  it('CA-37 asynchronous hooks are awaited', async () => {
    const gate = deferred();
    const { cache } = setUp([{ name: 'slow', onGet: () => gate.promise }]);
    await cache.set('k', 1);
    let isDone = false;
    const read = cache.get('k').then((value) => ((isDone = true), value));
    for (let turn = 0; turn < 100; turn++) await Promise.resolve();
    expect(isDone).toBe(false);
    gate.resolve();
    expect(await read).toBe(1);
  });

  it('E1 an asynchronous onSet can refuse; nothing is kept then, nothing older either', async () => {
    const rule: EvictionRule = {
      name: 'no big ones',
      onSet: async (entry) => {
        await Promise.resolve();
        return entry.key === 'big' ? { action: 'evict' } : null;
      },
    };
    const { cache } = setUp([rule]);
    await cache.set('k', 1);
    await cache.set('big', 1);
    expect(await keysOf(cache)).toEqual(['k']);
  });

  it('E4 an effect on an entry that is gone does nothing; effects that cause each other end', async () => {
    let first: Parameters<NonNullable<EvictionRule['onGet']>>[0] | undefined;
    const rule: EvictionRule = {
      name: 'loop',
      onGet: (entry) => ((first ??= entry), { action: 'evict', entry: first }),
      onEvict: () => ({ action: 'set', key: 'again', value: 1 }),
      onClear: () => ({ action: 'clear' }),
    };
    const { cache } = setUp([rule]);
    await cache.setMany({ a: 1, b: 1 });
    await cache.get('a');
    await cache.get('b');
    expect(await keysOf(cache)).toEqual(['again', 'b']);
    await cache.clear();
    expect(await cache.size()).toBe(0);
  });

  it('one rule object with fresh serves several caches without sharing state', async () => {
    const rules = [lru({ max: 1 })];
    const [one, other] = [setUp(rules).cache, setUp(rules).cache];
    await one.set('a', 1);
    await other.set('b', 1);
    expect(await one.has('a')).toBe(true);
  });

  it('CA-38 removals are counted by reason', async () => {
    const { cache, clock } = setUp([lru({ max: 3 }), maxItems({ max: 100 })]);
    for (let at = 0; at < 4; at++) await cache.set(`k${at}`, 1, { tags: [`t${at}`] });
    await cache.delete('k1');
    await cache.evictTags('t2');
    await cache.set('k3', 2, { ttl: 1 });
    clock.advance(1_000);
    await cache.removeExpired();
    await cache.set('s', 1, { scope: { org: 'o' } });
    await cache.evictScope({ org: 'o' });
    await cache.set('i', 1);
    clock.advance(5_000);
    await cache.removeIdle(1);
    expect((await cache.stats()).evictions).toEqual({
      lru: 1,
      deleted: 1,
      tag: 1,
      replaced: 1,
      expired: 1,
      scope: 1,
      idle: 1,
    });
  });
});

describe('limits of the memory storage', () => {
  it('SC-10 P16 entries: the longest unused leaves', async () => {
    const { cache } = setUp([], { maxEntries: 3 });
    for (let at = 0; at < 10; at++) await cache.set(`k${at}`, 1);
    expect(await cache.size()).toBe(3);
    expect((await cache.stats()).evictions).toEqual({ lru: 7 });
  });

  it('CA-32 a read counts as use, also within the millisecond of the write', async () => {
    const { cache } = setUp([], { maxEntries: 2 });
    await cache.set('read', 1);
    await cache.set('unread', 1);
    await cache.get('read');
    await cache.set('new', 1);
    expect(await keysOf(cache)).toEqual(['new', 'read']);
  });

  it('P16 bytes are bounded and figures tell them', async () => {
    const { cache } = setUp([], { maxBytes: 100_000 });
    for (let at = 0; at < 100; at++) await cache.set(`k${at}`, 'x'.repeat(5_000));
    const { storage, totalKeys } = await cache.stats();
    expect(storage['bytes']).toBeLessThanOrEqual(100_000);
    expect(totalKeys).toBeGreaterThan(3);
    await cache.clear();
    expect((await cache.stats()).storage).toMatchObject({ bytes: 0, entries: 0 });
  });

  it('P16 the limit of bytes counts what scopes and tags take', async () => {
    const { cache } = setUp([], { maxBytes: 1_000_000 });
    for (let at = 0; at < 3_000; at++)
      await cache.set('k', at, { scope: { org: 'o', user: `u${at}` } });
    expect(await cache.size()).toBeLessThan(1_000);
    await cache.clear();
    const tags = Array.from({ length: 10 }, (_, at) => 't'.repeat(100) + at);
    for (let at = 0; at < 3_000; at++)
      await cache.set(`k${at}`, at, { tags: tags.map((tag) => `${tag}-${at}`) });
    expect(await cache.size()).toBeLessThan(250);
  });

  it('P16 what scopes and tags took is given back, whichever way they go', async () => {
    const leaving: readonly ((cache: Cache, clock: ManualClock) => Promise<unknown>)[] = [
      (cache) => cache.evictScope('global'),
      (cache) => cache.evictScope({ org: 'o' }),
      async (cache) => {
        for (let at = 0; at < 9; at++) await cache.evictScope({ org: 'o', user: `u${at}` });
      },
      (cache) => cache.evictTags(['t', 'u0', 'u1', 'u2']),
      (cache) => cache.clear(),
      async (cache, clock) => {
        clock.advance(60_000);
        await cache.removeExpired();
      },
    ];
    for (const leave of leaving) {
      const { cache, clock } = setUp([], { maxBytes: 1_000_000 });
      for (let at = 0; at < 90; at++)
        await cache.set(`k${at % 10}`, at, {
          scope: { org: 'o', user: `u${at % 9}` },
          tags: at % 2 ? ['t'] : ['t', `u${at % 3}`],
          ttl: 60,
        });
      await leave(cache, clock);
      expect((await cache.stats()).storage).toMatchObject({ bytes: 0, entries: 0 });
    }
  });

  it('P16 a value over the limit is not kept, and the others stay', async () => {
    const { cache } = setUp([], { maxBytes: 10_000 });
    await cache.set('small', 1);
    await cache.set('huge', 'x'.repeat(20_000));
    expect(await keysOf(cache)).toEqual(['small']);
  });

  it('P16 per scope: one tenant cannot crowd out the others', async () => {
    const { cache } = setUp([], { perScope: { org: { maxEntries: 2 } } });
    await cache.set('k', 'quiet', { scope: { org: 'quiet' } });
    for (let at = 0; at < 50; at++)
      await cache.set(`k${at}`, at, { scope: { org: 'loud', user: `u${at % 5}` } });
    expect(await cache.size({ scope: { org: 'loud' } })).toBe(2);
    expect(await cache.get('k', { scope: { org: 'quiet' } })).toBe('quiet');
  });

  it('P16 bytes come back to zero after any mixture of operations', async () => {
    const { cache, clock } = setUp([lru({ max: 20 })], { perScope: { org: { maxBytes: 50_000 } } });
    for (let at = 0; at < 500; at++) {
      const scope = { org: `o${at % 3}`, user: `u${at % 7}` };
      await cache.set(`k${at % 31}`, 'x'.repeat(at), {
        scope,
        ttl: (at % 5) + 1,
        tags: [`t${at % 4}`],
      });
      if (at % 17 === 0) await cache.evictTags('t1');
      if (at % 29 === 0) await cache.evictScope({ org: 'o1' });
      if (at % 23 === 0) clock.advance(1_000);
    }
    await cache.evictScope('global');
    expect((await cache.stats()).storage).toMatchObject({ bytes: 0, entries: 0 });
    expect(clock.pending).toBe(0);
  });
});

describe('the cost of an eviction on the memory storage', () => {
  it('is that of the scope, not of all the others: a thousand users of 50,000 leave sooner than these came', async () => {
    const { cache } = setUp([]);
    const of = (user: number) => ({ org: 'o', user });
    const began = performance.now();
    for (let user = 0; user < 50_000; user++) await cache.set('k', user, { scope: of(user) });
    const filled = performance.now();
    for (let user = 0; user < 1_000; user++) expect(await cache.evictScope(of(user))).toBe(1);
    expect(performance.now() - filled).toBeLessThan(filled - began);
    expect(await cache.size({ scope: 'global' })).toBe(49_000);
  });

  it('P16 what was evicted leaves the queue of expiry too, however little of it went at a time', async () => {
    const { cache, clock } = setUp([]);
    for (let round = 0; round < 2_000; round++) {
      await cache.set('k', 1, { scope: { org: `o${round}` } });
      await cache.evictScope({ org: `o${round}` });
    }
    await cache.set('stays', 1);
    clock.advance(100_000);
    expect(await cache.size()).toBe(0);
    expect(clock.pending).toBe(0);
  });
});

describe('counting on the memory storage', () => {
  const graced = { ttl: 1, grace: 10 };

  it('leaves stale entries out, whichever way they go then', async () => {
    const { cache, clock } = setUp([]);
    const user = { org: 'o', user: 1 };
    const fill = async () => {
      for (const key of ['a', 'b', 'c']) await cache.set(key, 1, { ...graced, scope: user });
      await cache.set('stays', 1, { scope: { org: 'o' } });
    };
    const leave: Record<string, () => Promise<unknown>> = {
      replaced: () =>
        cache.set('a', 2, { scope: user }).then(() => cache.delete('a', { scope: user })),
      deleted: () => cache.deleteMany(['a', 'b', 'c'], { scope: user }),
      evicted: () => cache.evictScope(user),
      expired: async () => clock.advance(10_000),
    };
    for (const [how, go] of Object.entries(leave)) {
      await fill();
      clock.advance(1_000);
      expect([how, await cache.size({ scope: 'global' })]).toEqual([how, 1]);
      await go();
      expect([how, await cache.size({ scope: 'global' })]).toEqual([how, 1]);
      expect([how, await cache.size({ scope: user })]).toEqual([how, 0]);
    }
  });

  it('looks at each entry once, not at each count, also where entries have a grace', async () => {
    const { cache, clock } = setUp([]);
    for (let at = 0; at < 1_000; at++) await cache.set(`k${at}`, at, graced);
    const walks = jest.spyOn(MemoryBranch.prototype, 'walk');
    expect(await cache.size()).toBe(1_000);
    clock.advance(1_000);
    expect(await cache.size()).toBe(0);
    expect(walks).not.toHaveBeenCalled();
    walks.mockRestore();
  });
});
