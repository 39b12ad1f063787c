import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ScopePath, ScopeTree, type ScopeIds } from 'nestjs-scoped-cache';
import { createTestCache } from 'nestjs-scoped-cache/testing';
import { decodeKey, encodeKey, globMatcher } from '../unit/core/support/engine.js';

/** Everything that a careless encoding takes for its own punctuation. */
const PIECES = [
  ...'/:*?[]{}()\\%,"\'|.~@#$&=+ -_0aAé😀',
  '\0',
  '\r\n',
  'e\u0301',
  '\u202e',
  '\ud800',
  '\udc00',
  '..',
  '::',
  '%003a',
  'user:',
  'org:',
  'global',
  'null',
  'undefined',
  '1n',
  '__proto__',
];
const text = fc.array(fc.constantFrom(...PIECES), { maxLength: 6 }).map((parts) => parts.join(''));
const nonEmpty = text.filter((one) => one !== '');

const scalar = fc.oneof(
  text,
  fc.integer(),
  fc.double({ noNaN: false }),
  fc.bigInt(),
  fc.boolean(),
  fc.constantFrom(null, undefined, -0, 0, NaN, Infinity, -Infinity, '', '[]', '1', '1n', 'true'),
);
const { part } = fc.letrec<{ part: unknown }>((tie) => ({
  part: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('part'), { maxLength: 3 }),
    fc
      .array(fc.tuple(text, tie('part')), { maxLength: 3 })
      .map((fields) => Object.fromEntries(fields)),
    fc.date({ noInvalidDate: false }),
    fc.uint8Array({ maxLength: 4 }),
    fc.array(scalar, { maxLength: 3 }).map((items) => new Set(items)),
    fc.array(fc.tuple(scalar, scalar), { maxLength: 3 }).map((pairs) => new Map(pairs)),
  ),
}));
const key = fc.oneof(nonEmpty, fc.array(part, { minLength: 1, maxLength: 3 }));

/** The same key exactly when this is the same: kind, structure, content; no order in objects, Maps and Sets. */
function canonical(value: unknown): unknown {
  if (Object.is(value, -0)) return ['number', '-0'];
  if (typeof value !== 'object' || value === null) return [typeof value, String(value)];
  const kind = Object.prototype.toString.call(value);
  const inOrder = (items: unknown[]) => items.map((item) => JSON.stringify(canonical(item))).sort();
  if (Array.isArray(value)) return [kind, value.map(canonical)];
  if (value instanceof Date) return [kind, String(value.getTime())];
  if (value instanceof Uint8Array) return [kind, [...value]];
  if (value instanceof Map) return [kind, inOrder([...(value as Map<unknown, unknown>)])];
  if (value instanceof Set) return [kind, inOrder([...(value as Set<unknown>)])];
  return [kind, inOrder(Object.entries(value))];
}
const same = (one: unknown, other: unknown): boolean =>
  JSON.stringify(canonical(one)) === JSON.stringify(canonical(other));

describe('keys', () => {
  it('P4 PC-11 two keys get the same text exactly when they are the same key', () => {
    fc.assert(
      fc.property(key, key, (one, other) => {
        expect(encodeKey(one) === encodeKey(other)).toBe(same(one, other));
      }),
      { numRuns: 5_000 },
    );
  });

  it('P4 PC-11 texts that look alike stay apart: one alphabet, short keys, all pairs of a sample', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(key, { comparator: same, minLength: 20, maxLength: 60 }),
        (keys) => {
          expect(new Set(keys.map(encodeKey)).size).toBe(keys.length);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('P4 decodeKey gives back the key that encodeKey was given', () => {
    fc.assert(
      fc.property(key, (one) => {
        const decoded = decodeKey(encodeKey(one));
        expect(same(decoded, one)).toBe(true);
        expect(encodeKey(decoded)).toBe(encodeKey(one));
      }),
      { numRuns: 5_000 },
    );
  });

  it('P4 CA-11 the order of object fields, Map entries and Set items does not matter', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(text, scalar), { selector: ([name]) => name, maxLength: 5 }),
        (fields) => {
          const turned = fields.toReversed();
          const keyOf = (list: typeof fields) =>
            encodeKey([
              Object.fromEntries(list),
              new Map(list),
              new Set(list.map(([name]) => name)),
            ]);
          expect(keyOf(turned)).toBe(keyOf(fields));
        },
      ),
    );
  });

  it('P4 what decodeKey cannot read is refused, never guessed', () => {
    fc.assert(
      fc.property(text, (tail) => {
        try {
          expect(encodeKey(decodeKey(`[${tail}`))).toBeDefined();
        } catch (error) {
          expect((error as Error).constructor.name).toMatch(/InvalidKeyError|SyntaxError/);
        }
      }),
    );
  });

  it('P1 P4 entries at different keys never meet on a minimal storage, whose keys are digests', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(nonEmpty, { minLength: 2, maxLength: 8 }), async (keys) => {
        const cache = createTestCache();
        for (const one of keys) await cache.set(one, one);
        for (const one of keys) expect(await cache.get(one)).toBe(one);
        await cache.delete(keys[0]!);
        for (const one of keys.slice(1)) expect(await cache.get(one)).toBe(one);
      }),
      { numRuns: 50 },
    );
  });
});

describe('scope paths', () => {
  const tree = new ScopeTree([
    { name: 'org', children: ['user', 'session'] },
    { name: 'tenant', children: [{ name: 'project' }, { name: 'team' }] },
  ]);
  const ids = fc.oneof(
    fc.record({ org: nonEmpty }),
    fc.record({ org: nonEmpty, user: nonEmpty }),
    fc.record({ org: nonEmpty, user: nonEmpty, session: nonEmpty }),
    fc.record({ tenant: nonEmpty }),
    fc.record({ tenant: nonEmpty, project: nonEmpty }),
    fc.record({ tenant: nonEmpty, team: nonEmpty }),
  );
  const pathOf = (one: ScopeIds): ScopePath => tree.pathOf(one, undefined);
  const sameIds = (one: ScopeIds, other: ScopeIds): boolean =>
    JSON.stringify(Object.entries(one)) === JSON.stringify(Object.entries(other));

  it('P1 CA-26 two places have the same id exactly when they are the same place', () => {
    fc.assert(
      fc.property(ids, ids, (one, other) => {
        expect(pathOf(one).id === pathOf(other).id).toBe(sameIds(one, other));
      }),
      { numRuns: 5_000 },
    );
  });

  it('P1 CA-26 ScopeTree.parse(path.id) is the path', () => {
    fc.assert(
      fc.property(ids, (one) => {
        const path = pathOf(one);
        const parsed = tree.parse(path.id);
        expect(parsed?.id).toBe(path.id);
        expect(parsed?.level).toBe(path.level);
        expect(parsed?.ids).toEqual(path.ids);
        expect(pathOf(path.toSelector() as ScopeIds).id).toBe(path.id);
      }),
      { numRuns: 3_000 },
    );
  });

  it('P1 a path is within another exactly when its ids start with the other’s, on the same branch', () => {
    fc.assert(
      fc.property(ids, ids, (one, other) => {
        const ancestors = pathOf(one)
          .lineage()
          .map((path) => path.id);
        expect(pathOf(one).isWithin(pathOf(other))).toBe(ancestors.includes(pathOf(other).id));
      }),
      { numRuns: 3_000 },
    );
  });

  it('P1 a path’s text holds nothing but safe characters, its own separators and escapes', () => {
    fc.assert(fc.property(ids, (one) => expect(pathOf(one).id).toMatch(/^[\w.@~%:/-]+$/)));
  });

  it('P1 ScopeTree.parse takes no text that it would not have written', () => {
    fc.assert(
      fc.property(text, (tail) => {
        for (const id of [`org:${tail}`, tail, `org:a/user:${tail}`]) {
          const path = tree.parse(id);
          if (path) expect(path.id).toBe(id);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('globs', () => {
  it('SC-16 a glob says what the equivalent regular expression says', () => {
    const glob = fc.array(fc.constantFrom('*', '?', 'a', 'b', '.', '\\*', '[ab]', '[!a]'), {
      maxLength: 8,
    });
    const subject = fc.array(fc.constantFrom('a', 'b', 'c', '*', '.'), { maxLength: 10 });
    fc.assert(
      fc.property(glob, subject, (parts, chars) => {
        const source = parts
          .map((one) => one.replace('[!', '[^'))
          .map((one) => ({ '*': '.*', '?': '.', '.': '\\.' })[one] ?? one)
          .join('');
        const expected = new RegExp(`^${source}$`, 's').test(chars.join(''));
        expect(globMatcher(parts.join(''))(chars.join(''))).toBe(expected);
      }),
      { numRuns: 5_000 },
    );
  });

  it('SC-16 no pattern stalls: 32 stars over 60 kB take well under a second', () => {
    const matches = globMatcher(`${'*a'.repeat(31)}*b`);
    const before = performance.now();
    expect(matches('a'.repeat(60_000))).toBe(false);
    expect(performance.now() - before).toBeLessThan(1_000);
  });
});
