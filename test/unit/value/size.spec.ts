import fc from 'fast-check';
import { sizeOf } from '../../../lib/core/value/size.js';
import { richValue } from './arbitraries.js';

describe('sizeOf', () => {
  it('P16: is a positive number, and the same for the same value', () => {
    fc.assert(
      fc.property(richValue, (value) => {
        const size = sizeOf(value);
        expect(size).toBeGreaterThan(0);
        expect(Number.isFinite(size)).toBe(true);
        expect(sizeOf(value)).toBe(size);
      }),
    );
  });

  it.each<[string, unknown, number]>([
    ['a string', 'x'.repeat(10_000), 20_000],
    ['bytes', new Uint8Array(10_000), 10_000],
    ['memory', new ArrayBuffer(10_000), 10_000],
    ['a bigint', 1n << 80_000n, 10_000],
    ['a Map', new Map([['k', 'x'.repeat(5_000)]]), 10_000],
    ['a Map’s keys', new Map([['x'.repeat(5_000), 1]]), 10_000],
    ['a Set', new Set(['x'.repeat(5_000)]), 10_000],
    ['an error', new Error('x'.repeat(5_000)), 10_000],
    ['a cause', new Error('', { cause: 'x'.repeat(5_000) }), 10_000],
    ['a field', { a: [{ b: 'x'.repeat(5_000) }] }, 10_000],
    ['a name-heavy list', Array.from({ length: 1_000 }, () => ({ a: 1 })), 40_000],
    ['a URL', new URL(`http://a/${'x'.repeat(5_000)}`), 10_000],
  ])('P16: counts the content of %s', (_, value, atLeast) => {
    const size = sizeOf(value);
    expect(size).toBeGreaterThanOrEqual(atLeast);
    expect(size).toBeLessThan(atLeast * 3);
  });

  it('P16: ends for circles, counts shared objects once', () => {
    const one = { text: 'x'.repeat(1_000) };
    const circle: Record<string, unknown> = { one, again: one };
    circle['self'] = circle;
    expect(sizeOf(circle)).toBeLessThan(2_500);
  });

  it('P16: takes any depth, and holes cost no time', () => {
    let deep: unknown = 1;
    for (let level = 0; level < 100_000; level++) deep = [deep];
    expect(sizeOf(deep)).toBeGreaterThan(100_000);
    expect(sizeOf(Object.assign([], { length: 4_000_000_000 }))).toBeLessThan(1_000);
  });

  it('P16: never throws, whatever isolation none lets in', () => {
    const throwing = {
      get x(): never {
        throw new Error('no');
      },
    };
    const proxy = new Proxy(
      {},
      {
        ownKeys() {
          throw new Error('no');
        },
      },
    );
    for (const value of [
      throwing,
      [proxy],
      () => 1,
      Symbol('s'),
      new WeakMap(),
      Promise.resolve(),
      globalThis,
    ])
      expect(sizeOf(value)).toBeGreaterThan(0);
  });
});
