import fc from 'fast-check';
import { ClassCodecs } from '../../../lib/core/value/class-codecs.js';
import { copyIn, copyOut } from '../../../lib/core/value/copy.js';
import { copyByPlan, CopyPlans } from '../../../lib/core/value/copy-plan.js';
import { createTestCache } from '../../../lib/testing/index.js';
import { plainValue, richValue } from './arbitraries.js';
import { expectSame } from './same.js';

class Money {
  constructor(readonly cents: number) {}
}
const codecs = new ClassCodecs();
codecs.registerType(Money);

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Every object in a value, itself included. */
function objectsIn(value: unknown, found = new Set<object>()): Set<object> {
  if (!isObject(value) || found.has(value)) return found;
  found.add(value);
  for (const part of Object.values(value)) objectsIn(part, found);
  if (value instanceof Map || value instanceof Set)
    for (const part of [...value].flat()) objectsIn(part, found);
  return found;
}

describe('copies by plan', () => {
  it.each([
    ['plain', plainValue],
    ['rich', richValue],
  ])('P10 P11 of a %s value: the same, and no object is shared', (_, values) => {
    const plans = new CopyPlans();
    fc.assert(
      fc.property(fc.array(values, { minLength: 1, maxLength: 4 }), (made) => {
        const kept = copyIn({ made, beside: made[0] }, codecs, 'value') as object;
        const plan = plans.of(kept);
        const copy = copyByPlan(kept, plan, codecs);
        expectSame(copy, copyOut(kept, codecs));
        const ours = objectsIn(kept);
        expect([...objectsIn(copy)].filter((one) => ours.has(one))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('values of one shape share a plan; other shapes never do', () => {
    const plans = new CopyPlans();
    const one = plans.of({ a: 1, list: [1], inner: { b: 2 } });
    expect(plans.of({ other: 'x', list: ['y'], inner: { c: null } })).toBe(one);
    expect(plans.of({ list: { a: 1 }, inner: { b: 2 } })).not.toBe(one);
    expect(plans.of({ list: [{ a: 1 }], inner: { b: 2 } })).not.toBe(one);
    expect(plans.of({ inner: { b: 2 }, 'list":[],"inner': [] }).shape).not.toBe(one.shape);
  });

  it('P11 lists of rows, mixed lists, sparse ones, instances and own "__proto__" keys are copied whole', () => {
    const plans = new CopyPlans();
    const odd = JSON.parse('{"__proto__":{"x":[1]},"constructor":{"y":{}}}') as object;
    // oxlint-disable-next-line no-sparse-arrays
    const values = [[{ a: [1] }, { a: [2] }], [{ a: 1 }, null, [2]], [, { a: 1 }], odd, [odd]];
    for (const given of [...values, { price: new Money(5), deep: { deep: { deep: values } } }]) {
      const kept = copyIn(given, codecs, 'value');
      const copy = copyByPlan(kept, plans.of(kept), codecs);
      expectSame(copy, kept);
      const ours = objectsIn(kept);
      expect([...objectsIn(copy)].filter((object) => ours.has(object))).toEqual([]);
    }
  });

  it('P16 knows a bounded number of shapes; values of further ones are copied all the same', () => {
    const plans = new CopyPlans();
    for (let at = 0; at < 1_100; at++) plans.of({ [`field${at}`]: { x: 1 } });
    const late = { late: { x: [1] } };
    expect(plans.of(late).kind).toBe('anything');
    const copy = copyByPlan(late, plans.of(late), codecs) as typeof late;
    expect(copy).toEqual(late);
    expect(copy.late.x).not.toBe(late.late.x);
  });

  it('P11 what a reader does to the first, the second or the tenth hit shows in no other', async () => {
    const cache = createTestCache({});
    await cache.set('k', { rows: [{ tags: ['a'] }, { tags: ['b'] }], at: { x: 1 } });
    for (let hit = 0; hit < 10; hit++) {
      const value = (await cache.get<{ rows: { tags: string[] }[]; at: { x: number } }>('k'))!;
      expect(value).toEqual({ rows: [{ tags: ['a'] }, { tags: ['b'] }], at: { x: 1 } });
      value.rows[0]!.tags.push('mine');
      value.at.x = 2;
      value.rows.pop();
    }
  });
});
