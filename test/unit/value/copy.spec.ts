import { Readable } from 'node:stream';
import { runInNewContext } from 'node:vm';
import { jest } from '@jest/globals';
import fc from 'fast-check';
import { SerializationError } from '../../../lib/core/errors.js';
import { ClassCodecs } from '../../../lib/core/value/class-codecs.js';
import { copyIn, copyOut } from '../../../lib/core/value/copy.js';
import { deepest, nested, richValue } from './arbitraries.js';
import { expectSame } from './same.js';

class User {
  constructor(
    public name: string,
    public born: Date,
  ) {}
}

const codecs = new ClassCodecs();
const copy = (value: unknown): unknown => copyOut(copyIn(value, codecs, 'key "k"'), codecs);
const thrownBy = (action: () => unknown): unknown => {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('It was accepted.');
};
const failure = (value: unknown): Error =>
  thrownBy(() => copyIn(value, codecs, 'key "k"')) as Error;
describe('what comes back', () => {
  it('P10: is the same, whatever the value', () => {
    fc.assert(
      fc.property(richValue, (value) => expectSame(copy(value), value)),
      { numRuns: 1_000 },
    );
  });

  it.each([undefined, null, 0, -0, NaN, '', false, 10n, Infinity])(
    'P10, CA-49: %p is a value',
    (value) => {
      expect(Object.is(copy(value), value)).toBe(true);
    },
  );

  it('P10: is built of this realm’s classes when the value came from another', () => {
    const foreign: unknown = runInNewContext(
      `({ list: [1], map: new Map([[{ a: 1 }, new Set([1])]]), at: new Date(5), re: /x/g, bytes: new Uint16Array([1, 2]),
          error: new RangeError('no'), constructor: 1, memory: new ArrayBuffer(2), bare: Object.create(null) })`,
    );
    const back = copy(foreign) as Record<string, unknown>;
    const error = back['error'] as RangeError;
    expect(back['map']).toBeInstanceOf(Map);
    expect(error).toBeInstanceOf(RangeError);
    expectSame(
      { ...back, error: error.message, bare: 0 },
      {
        list: [1],
        map: new Map([[{ a: 1 }, new Set([1])]]),
        at: new Date(5),
        re: /x/g,
        bytes: new Uint16Array([1, 2]),
        error: 'no',
        constructor: 1,
        memory: new ArrayBuffer(2),
        bare: 0,
      },
    );
    expectSame(copy(structuredClone({ a: [new Map([[1, new Date(3)]])] })), {
      a: [new Map([[1, new Date(3)]])],
    });
  });

  it('P10: is plain data when its prototype is empty, as in queries that Fastify parsed', () => {
    const query = Object.assign(Object.create(Object.create(null) as object) as object, { a: [1] });
    expectSame(copy(query), { a: [1] });
    expectSame(copy({ query }), { query: { a: [1] } });
  });

  it('P10: is a Date when timers are fake', () => {
    jest.useFakeTimers({ now: 5 });
    try {
      expect((copy({ at: new Date() }) as { at: Date }).at.getTime()).toBe(5);
    } finally {
      jest.useRealTimers();
    }
  });

  it('P10: holds an own __proto__ as a field, and no prototype changes', () => {
    const value: unknown = JSON.parse('{"__proto__":{"polluted":1},"a":{"__proto__":{"b":[{}]}}}');
    const back = copy(value) as object;
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect(JSON.stringify(back)).toBe(JSON.stringify(value));
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('P10: has nothing of what somebody added to Object.prototype', () => {
    Object.defineProperty(Object.prototype, 'added', {
      value: { by: 'somebody' },
      enumerable: true,
      configurable: true,
      writable: true,
    });
    try {
      expect(Object.keys(copy({ a: { b: 1 } }) as object)).toEqual(['a']);
    } finally {
      Reflect.deleteProperty(Object.prototype, 'added');
    }
  });

  it('P10: is an error with its stack, cause and fields', () => {
    const cause = new SyntaxError('inner');
    const error = Object.assign(new AggregateError([cause, 1], 'outer', { cause }), {
      code: 'E1',
      status: [4],
    });
    expectSame(copy(error), error);
    const foreign = copy(thrownBy(() => new URL('nonsense')));
    expect(foreign).toBeInstanceOf(TypeError);
    expect(foreign).toMatchObject({ code: 'ERR_INVALID_URL', input: 'nonsense' });
  });

  it.each(deepest)('P10: is as deep as %i nested %s', (levels, _, around) => {
    expect(() => copy(nested(levels, around))).not.toThrow();
    expect(failure(nested(levels + 1, around)).message).toMatch(/nested more than 1000 levels/);
  });
});

describe('what callers can change', () => {
  it('P11, UD-32: neither what they passed in nor what they got back reaches what is kept', () => {
    const value = {
      list: [{ n: 1 }],
      map: new Map([['k', { n: 1 }]]),
      at: new Date(1),
      bytes: Buffer.from('abc'),
      url: new URL('http://a/'),
    };
    const kept = copyIn(value, codecs, 'k') as typeof value;
    const before = copyOut(kept, codecs);
    for (const mine of [value, copyOut(kept, codecs) as typeof value]) {
      mine.list[0]!.n = 2;
      mine.list.push({ n: 3 });
      mine.map.get('k')!.n = 2;
      mine.map.clear();
      mine.at.setTime(9);
      mine.bytes[0] = 0;
      mine.url.host = 'evil';
      expectSame(kept, before);
    }
  });

  it('P11: the memory behind bytes holds nothing else', () => {
    for (const bytes of [
      Buffer.from('abc'),
      Buffer.from('xabcx').subarray(1, 4),
      new Uint8Array([0, 97, 98, 99]).subarray(1),
    ]) {
      const back = copy(bytes) as Uint8Array;
      expect(back.constructor).toBe(bytes.constructor);
      expect(back.buffer.byteLength).toBe(3);
      expect(String.fromCharCode(...back)).toBe('abc');
    }
  });

  it('P11: shared memory is not shared any more', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(2));
    const back = copy(shared) as Uint8Array;
    shared[0] = 1;
    expect(back[0]).toBe(0);
  });

  it('P11: one object in two places becomes two', () => {
    const one = { n: 1 };
    const back = copy([one, one]) as (typeof one)[];
    back[0]!.n = 2;
    expect(back[1]!.n).toBe(1);
  });
});

describe('what is refused', () => {
  class Tags extends Array<string> {}
  class Index extends Map<string, string> {}
  class Mine extends Error {}
  const Impostor = { Map: class Map {} }.Map;
  const extra = <T extends object>(value: T): T => Object.assign(value, { extra: 1 });

  it.each<[string, unknown, RegExp]>([
    [
      'a function',
      function load() {},
      /: \$\.a\[1\] is a function \(load\), which cannot be stored\. Leave it out/,
    ],
    ['a symbol', Symbol('s'), /is a symbol/],
    ['an instance', new User('x', new Date()), /is an instance of User.*type: \(\) => TheClass/],
    ['a promise', Promise.resolve(), /is a promise.*Await it first/],
    ['a stream', new Readable(), /is a stream \(Readable\).*store its content/],
    ['a web stream', new ReadableStream(), /is a stream/],
    ['a WeakMap', new WeakMap(), /WeakMap/],
    ['a WeakSet', new WeakSet(), /WeakSet/],
    ['a boxed number', Object(1), /is a boxed Number/],
    ['a boxed string', Object('s'), /is a boxed String/],
    ['an array class', Tags.from(['a']), /is an instance of Tags/],
    ['a Map class', new Index(), /is an instance of Index/],
    ['an error class', new Mine('x'), /is an instance of Mine/],
    ['a class with a built-in’s name', new Impostor(), /is an instance of Map/],
    [
      'a tag that lies',
      Object.create({ constructor: Map, [Symbol.toStringTag]: 'Map' }),
      /\$\.a\[1\]/,
    ],
    ['an inheriting object', Object.create({ a: 1 }), /cannot be stored/],
    ['shared memory', new SharedArrayBuffer(1), /SharedArrayBuffer/],
    ['a generator', (function* () {})(), /cannot be stored/],
    [
      'arguments',
      (function () {
        return arguments;
      })(),
      /symbol key|hidden/,
    ],
    ['a symbol key', { [Symbol('mark')]: 1 }, /has the symbol key Symbol\(mark\)/],
    [
      'a hidden property',
      Object.defineProperty({}, 'secret', { value: 1 }),
      /has the hidden property secret/,
    ],
    [
      'a hidden property without prototype',
      Object.defineProperty(Object.create(null), 'secret', { value: 1 }),
      /secret/,
    ],
    ['an array’s own property', extra([1]), /has the property extra beside its items/],
    ['an own property that fills a hole', extra([, 1]), /extra/], // oxlint-disable-line no-sparse-arrays
    ['a match', /b/.exec('abc'), /beside its items/],
    ['an array’s symbol', Object.assign([1], { [Symbol('mark')]: 1 }), /symbol key/],
    ['a Map’s own property', extra(new Map()), /has the property extra beside its content/],
    ['a Date’s own property', extra(new Date()), /extra/],
    ['a huge array with holes', Object.assign([], { length: 4_000_000_000 }), /with holes/],
    [
      'a getter that throws',
      {
        get x() {
          throw new Error('inner');
        },
      },
      /threw when it was read/,
    ],
    [
      'a proxy that throws',
      new Proxy(
        {},
        {
          getPrototypeOf() {
            throw new Error('inner');
          },
        },
      ),
      /threw/,
    ],
  ])('P10: %s, with path, kind and remedy', (_, culprit, message) => {
    const error = failure({ a: [0, culprit] });
    expect(error).toBeInstanceOf(SerializationError);
    expect(error.message).toMatch(/^Cannot store key "k": \$\.a\[1\]/);
    expect(error.message).toMatch(message);
  });

  it('P10: at the top as well', () => {
    expect(failure(() => 1).message).toMatch(/: \$ is a function/);
    expect(failure(Symbol('s')).message).toMatch(/: \$ is a symbol/);
  });

  it('P10: on a path through every kind of container', () => {
    const value = {
      'a b': [new Map([['k', new Set([{ e: new Error('', { cause: () => 1 }) }])]])],
    };
    expect(failure(value).message).toContain('$["a b"][0].get("k").<item 0>.e.cause is a function');
    expect(failure(new Map([[{ f: () => 1 }, 1]])).message).toContain('$.<key 0>.f is');
  });

  it('P10: a detached buffer, rather than storing an empty one', () => {
    const memory = new ArrayBuffer(8);
    structuredClone(memory, { transfer: [memory] });
    expect(failure({ memory })).toBeInstanceOf(SerializationError);
  });

  it('PC-15: what contains itself', () => {
    const self: Record<string, unknown> = {};
    self['self'] = self;
    const map = new Map<string, unknown>();
    map.set('m', [map]);
    const parent = { children: [] as unknown[] };
    parent.children.push({ parent });
    for (const circle of [self, map, parent, [parent], new Set([self])])
      expect(failure(circle).message).toMatch(/contains itself.*Break the circle/);
  });

  it('PC-15, P16: what contains itself, before much of it has been copied', () => {
    const self: Record<string, unknown> = { big: Array.from({ length: 100_000 }, (_, id) => id) };
    self['self'] = self;
    const started = performance.now();
    failure(self);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('P16: one object in ever more places, before its copies fill the memory', () => {
    const pair = (held: unknown): unknown => [held, held];
    const instance = (held: unknown): unknown => new User('x', held as Date);
    const map = (held: unknown): unknown => new Map([...'ab'].map((key) => [key, held]));
    const typed = new ClassCodecs();
    typed.registerType(User);
    for (const around of [pair, (held: unknown) => pair(instance(held)), map]) {
      let value: unknown = { a: 1 };
      for (let level = 0; level < 30; level++) value = around(value);
      const error = thrownBy(() => copyIn(value, typed, 'key "k"')) as Error;
      expect(error).toBeInstanceOf(SerializationError);
      expect(error.message).toMatch(
        /the same objects more than 100000 times.*store an object once/,
      );
      expect(error.message.length).toBeLessThan(300);
    }
  });

  it('P10: not what is merely large, nor a list of many that hold the same one', () => {
    const country = { code: 'x' };
    const rows = Array.from({ length: 150_000 }, (_, id) => ({ id, country }));
    expect(copy(rows)).toHaveLength(150_000);
    expect(copy(Array.from({ length: 100_000 }, () => country))).toHaveLength(100_000);
  });

  it.each(deepest)('PC-15: 100,000, not %i, nested %s', (_, __, around) => {
    const error = failure(nested(100_000, around));
    expect(error).toBeInstanceOf(SerializationError);
    expect(error.message).toMatch(/nested more than 1000 levels deep/);
    expect(error.message.length).toBeLessThan(300);
  });

  it('P10: no message holds a value', () => {
    const error = failure({ password: 'hunter2', token: ['s3cret', () => 'x'] });
    expect(error.message).not.toMatch(/hunter2|s3cret/);
  });
});
