import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  lru,
  memoryStorage,
  type Cache,
  type CacheOptions,
  type ScopeIds,
  type ScopeSelector,
} from 'nestjs-scoped-cache';
import { createTestCache, ManualClock, mapStorage } from 'nestjs-scoped-cache/testing';

interface Kept {
  value: unknown;
  ttlMs: number;
  sliding: boolean;
  tags: readonly string[];
  until: number;
  usedAt: number;
}

const SCOPES: readonly ScopeSelector[] = [
  'global',
  { org: 'o' },
  { org: 'o', user: '1' },
  { org: 'o', user: '1', session: 's' },
  { org: 'o', user: '2' },
  { org: 'o/user:1' },
  { org: 'p', user: '1' },
];
const KEYS = ['k', '[k]', 'l', '*'] as const;
const idsOf = (scope: ScopeSelector) =>
  scope === 'global' ? [] : Object.values(scope as ScopeIds);
const isWithin = (scope: ScopeSelector, ancestor: ScopeSelector) =>
  idsOf(ancestor).every((id, at) => idsOf(scope)[at] === id);

/** The cache as one would explain it to a friend: a list, walked through for everything. */
class Model {
  now = 0;
  readonly entries = new Map<string, { scope: ScopeSelector; key: string; kept: Kept }>();

  live(scope: ScopeSelector, key: string): Kept | undefined {
    const kept = this.entries.get(JSON.stringify([scope, key]))?.kept;
    return kept && this.now < kept.until ? kept : undefined;
  }

  read(scope: ScopeSelector, key: string): Kept | undefined {
    const kept = this.live(scope, key);
    if (kept?.sliding) kept.until = this.now + kept.ttlMs;
    if (kept) kept.usedAt = this.now;
    return kept;
  }

  write(
    scope: ScopeSelector,
    key: string,
    kept: Omit<Kept, 'until' | 'usedAt'>,
    until?: number,
  ): void {
    const id = JSON.stringify([scope, key]);
    this.entries.set(id, {
      scope,
      key,
      kept: { ...kept, until: until ?? this.now + kept.ttlMs, usedAt: this.now },
    });
  }

  /** Takes those out that match; says how many of them were live. */
  take(matches: (one: { scope: ScopeSelector; key: string; kept: Kept }) => boolean): number {
    let live = 0;
    for (const [id, one] of this.entries)
      if (matches(one)) {
        if (this.now < one.kept.until) live++;
        this.entries.delete(id);
      }
    return live;
  }

  count(scope: ScopeSelector): number {
    return [...this.entries.values()].filter(
      (one) => this.now < one.kept.until && isWithin(one.scope, scope),
    ).length;
  }
}

interface Step {
  readonly text: string;
  run(cache: Cache, model: Model, clock: ManualClock): Promise<void>;
}

const place = fc.record({ scope: fc.constantFrom(...SCOPES), key: fc.constantFrom(...KEYS) });
const ttl = fc.constantFrom(0, 0.001, 1, 2, 60, 'forever' as const);
const msOf = (one: number | 'forever') => (one === 'forever' ? Infinity : one * 1_000);
const tags = fc.subarray(['t', 'u', '*']);
/** How long values still serve where they are asked for: for all that follows here, they are gone at the end of their TTL. */
const grace = fc.constantFrom(0, 0.5, 60, 'forever' as const);
const step = <T>(
  arbitrary: fc.Arbitrary<T>,
  name: string,
  run: (input: T, cache: Cache, model: Model, clock: ManualClock) => Promise<void>,
): fc.Arbitrary<Step> =>
  arbitrary.map((input) => ({
    text: `${name} ${JSON.stringify(input)}`,
    run: (cache, model, clock) => run(input, cache, model, clock),
  }));

const steps = (canIdle: boolean): fc.Arbitrary<Step>[] => [
  step(
    fc.record({ at: place, value: fc.integer(), ttl, grace, sliding: fc.boolean(), tags }),
    'set',
    async ({ at, value, ttl: life, grace: more, sliding, tags: names }, cache, model) => {
      const { scope, key } = at;
      await cache.set(key, value, { scope, ttl: life, grace: more, sliding, tags: names });
      if (life === 0) model.take((one) => one.scope === scope && one.key === key);
      else model.write(scope, key, { value, ttlMs: msOf(life), sliding, tags: names });
    },
  ),
  step(place, 'get', async ({ scope, key }, cache, model) => {
    expect(await cache.get(key, { scope })).toEqual(model.read(scope, key)?.value);
  }),
  step(place, 'lookup', async ({ scope, key }, cache, model, clock) => {
    const kept = model.read(scope, key);
    const expected = kept && {
      hit: true,
      value: kept.value,
      stale: false,
      tags: kept.tags,
    };
    const found = await cache.lookup(key, { scope });
    expect(found).toMatchObject(expected ?? { hit: false });
    // A sliding entry is renewed by the storage as it answers, or before: both ends are in its future.
    if (found.hit && kept && !kept.sliding)
      expect(found.expiresAt - clock.now()).toBe(kept.until - model.now);
  }),
  step(place, 'has', async ({ scope, key }, cache, model) => {
    expect(await cache.has(key, { scope })).toBe(model.live(scope, key) !== undefined);
  }),
  step(fc.constantFrom(...SCOPES), 'getMany', async (scope, cache, model) => {
    expect(await cache.getMany(KEYS, { scope })).toEqual(
      KEYS.map((key) => model.read(scope, key)?.value),
    );
  }),
  step(place, 'delete', async ({ scope, key }, cache, model) => {
    const taken = model.take((one) => one.scope === scope && one.key === key);
    expect(await cache.delete(key, { scope })).toBe(taken === 1);
  }),
  step(fc.constantFrom(...SCOPES), 'deleteMany', async (scope, cache, model) => {
    const taken = model.take((one) => one.scope === scope && one.key.length === 1);
    expect(await cache.deleteMany(['k', 'l', '*'], { scope })).toBe(taken);
  }),
  step(fc.constantFrom(...SCOPES), 'evictScope', async (scope, cache, model) => {
    expect(await cache.evictScope(scope)).toBe(model.take((one) => isWithin(one.scope, scope)));
  }),
  step(
    fc.record({ scope: fc.constantFrom(...SCOPES), tags }),
    'evictTags',
    async ({ scope, tags: names }, cache, model) => {
      const taken = model.take(
        (one) => isWithin(one.scope, scope) && one.kept.tags.some((tag) => names.includes(tag)),
      );
      expect(await cache.evictTags(names, { scope })).toBe(taken);
    },
  ),
  step(
    fc.record({ scope: fc.constantFrom(...SCOPES), tags: fc.option(tags) }),
    'expire',
    async ({ scope, tags: names }, cache, model) => {
      const expired = names
        ? await cache.expireTags(names, { scope })
        : await cache.expireScope(scope);
      let live = 0;
      for (const one of model.entries.values()) {
        if (!isWithin(one.scope, scope) || model.now >= one.kept.until) continue;
        if (names && !one.kept.tags.some((tag) => names.includes(tag))) continue;
        one.kept.until = model.now;
        live++;
      }
      expect(expired).toBe(live);
    },
  ),
  step(fc.constant(null), 'clear', async (_, cache, model) => {
    await cache.clear();
    model.entries.clear();
  }),
  step(
    fc.record({ at: place, ttl }),
    'touch',
    async ({ at: { scope, key }, ttl: life }, cache, model) => {
      const kept = model.live(scope, key);
      expect(await cache.touch(key, { scope, ttl: life })).toBe(kept !== undefined);
      if (life === 0) model.take((one) => one.scope === scope && one.key === key);
      else if (kept)
        Object.assign(kept, {
          ttlMs: msOf(life),
          until: model.now + msOf(life),
          usedAt: model.now,
        });
    },
  ),
  step(
    fc.record({
      scope: fc.constantFrom(...SCOPES),
      field: fc.constantFrom('a', 'b'),
      value: fc.nat(),
    }),
    'merge',
    async ({ scope, field, value }, cache, model) => {
      const kept = model.live(scope, 'merged');
      const merged = { ...(kept?.value as object), [field]: value };
      expect(await cache.merge('merged', { [field]: value }, { scope, ttl: 2 })).toEqual(merged);
      const { sliding = false, tags: names = [] } = kept ?? {};
      model.write(scope, 'merged', { value: merged, ttlMs: 2_000, sliding, tags: names });
    },
  ),
  step(
    fc.record({ scope: fc.constantFrom(...SCOPES), by: fc.integer({ min: -3, max: 3 }) }),
    'increment',
    async ({ scope, by }, cache, model) => {
      const kept = model.live(scope, 'counter');
      const sum = ((kept?.value as number | undefined) ?? 0) + by;
      expect(await cache.increment('counter', { scope, by, ttl: 2 })).toBe(sum);
      model.write(
        scope,
        'counter',
        { value: sum, ttlMs: 2_000, sliding: false, tags: [] },
        kept?.until,
      );
    },
  ),
  step(place, 'getOrSet', async ({ scope, key }, cache, model) => {
    const kept = model.read(scope, key);
    const expected = kept ? kept.value : 'loaded';
    expect(await cache.getOrSet(key, () => 'loaded', { scope, ttl: 1, tags: ['t'] })).toEqual(
      expected,
    );
    if (!kept)
      model.write(scope, key, { value: 'loaded', ttlMs: 1_000, sliding: false, tags: ['t'] });
  }),
  step(fc.constantFrom(...SCOPES), 'size and listing', async (scope, cache, model) => {
    expect(await cache.size({ scope })).toBe(model.count(scope));
    let listed = 0;
    for await (const line of cache.entries({ scope, deep: true })) {
      expect(line.value).toEqual(
        model.live(
          SCOPES.find((one) => JSON.stringify(one) === JSON.stringify(line.scope))!,
          line.key as string,
        )?.value,
      );
      listed++;
    }
    expect(listed).toBe(model.count(scope));
  }),
  step(fc.constant(null), 'removeExpired', async (_, cache) => {
    await cache.removeExpired();
    expect(await cache.removeExpired()).toBe(0);
  }),
  step(fc.constantFrom(1, 999, 1_000, 1_001, 60_000), 'advance', async (ms, _, model, clock) => {
    clock.advance(ms);
    model.now += ms;
  }),
  ...(canIdle
    ? [
        step(fc.constantFrom(...SCOPES), 'removeIdle', async (scope, cache, model) => {
          const taken = model.take(
            (one) => isWithin(one.scope, scope) && model.now - one.kept.usedAt > 1_000,
          );
          expect(await cache.removeIdle(1, { scope })).toBe(taken);
        }),
      ]
    : []),
];

function behavesLikeTheModel(
  makeOptions: () => CacheOptions,
  canIdle: boolean,
): () => Promise<void> {
  return () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(...steps(canIdle)), { minLength: 5, maxLength: 60 }),
        async (script) => {
          const clock = new ManualClock();
          const model = new Model();
          const cache = createTestCache({ ...makeOptions(), storageTimeout: '1h' }, { clock });
          for (const one of script) {
            try {
              await one.run(cache, model, clock);
            } catch (error) {
              throw new Error(`${one.text}, of: ${script.map((s) => s.text).join('; ')}`, {
                cause: error,
              });
            }
          }
          expect(await cache.size()).toBe(model.count('global'));
          await cache.evictScope('global');
          expect(cache.loadsUnderWay).toBe(0);
          await cache.close();
          expect(clock.pending).toBe(0);
        },
      ),
      { numRuns: 400 },
    );
}

describe('random operations over several scopes agree with a naive model, counts included', () => {
  it(
    'P1 P5 P7 P16 on memory',
    behavesLikeTheModel(() => ({ storage: memoryStorage() }), true),
  );
  it(
    'P1 P5 P7 P16 on memory with rules that never act',
    behavesLikeTheModel(() => ({ storage: memoryStorage(), rules: [lru({ max: 1_000 })] }), true),
  );
  it(
    'P1 P5 P7 on a minimal storage',
    behavesLikeTheModel(() => ({ storage: mapStorage() }), false),
  );
  it(
    'P1 P5 P7 P11 on memory with frozen values',
    behavesLikeTheModel(() => ({ storage: memoryStorage(), isolation: 'frozen' }), true),
  );
});
