import fc from 'fast-check';
import { inspect } from 'node:util';
import { SerializationError } from '../../../lib/core/errors.js';
import { ClassCodecs } from '../../../lib/core/value/class-codecs.js';
import { copyIn, copyOut } from '../../../lib/core/value/copy.js';
import { richSerializer } from '../../../lib/core/value/serializer.js';
import { deepest, nested, plainValue, richValue, shortError } from './arbitraries.js';
import { expectSame } from './same.js';

const { serialize, deserialize, name } = richSerializer();
const roundTrip = (value: unknown): unknown => deserialize(serialize(value));
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (value: unknown): string => new TextDecoder().decode(serialize(value));
/** Reads bytes that may be anything: a value or SerializationError, nothing else. */
function read(bytes: Uint8Array): unknown {
  try {
    return deserialize(bytes);
  } catch (error) {
    if (!(error instanceof SerializationError)) throw error;
    return error;
  }
}

describe('round trips', () => {
  it('P10, PC-14, PC-16: bring back the same, whatever the value', () => {
    fc.assert(
      fc.property(richValue, (value) => expectSame(roundTrip(value), value)),
      { numRuns: 1_000 },
    );
  });

  it('PC-14: bring back plain JSON, as nothing but JSON', () => {
    fc.assert(
      fc.property(plainValue, (value) => {
        expectSame(roundTrip(value), value);
        if (!JSON.stringify(value).includes('"$nsc"'))
          expect(textOf(value)).toBe(`p${JSON.stringify(value)}`);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ['string', 'text'],
    ['object', { a: 1 }],
    ['array', [1, 'two', null]],
    ['nested mix', { a: [{ b: [1, { c: null }] }], d: { e: true } }],
    ['unicode', { 'ключ 🔑': '值 😀 \u2028' }],
    ['lone surrogates', ['\ud800', { '\udfff': 'x\udc00x' }]],
    ['empty string', ''],
    ['empty array', []],
    ['empty object', {}],
  ])('PC-14: %s', (_, value) => expectSame(roundTrip(value), value));

  it.each<[string, unknown]>([
    ['a Date', new Date(0)],
    ['an invalid Date', new Date(NaN)],
    [
      'a Map',
      new Map<unknown, unknown>([
        [{ a: 1 }, undefined],
        [NaN, new Map()],
      ]),
    ],
    ['a Set', new Set([undefined, [1]])],
    ['a BigInt', -(2n ** 70n)],
    ['a Buffer', Buffer.from([0, 255, 128])],
    ['undefined in objects and arrays', { a: undefined, b: [undefined, 1] }],
    ['holes', [, 1, , undefined, ,]], // oxlint-disable-line no-sparse-arrays
    ['numbers that JSON lacks', [NaN, Infinity, -Infinity, -0, { a: -0 }]],
    ['an object without prototype', Object.assign(Object.create(null), { a: new Date(1) })],
    ['what looks like a tag', { $nsc: 'Date', v: 0 }],
    [
      'what looks like an escaped tag',
      [{ $nsc: 'object', v: ['$nsc', { $nsc: 'hole' }] }, { $nsc: 'hole' }],
    ],
    ['an own toString', { toString: 1, valueOf: 2, constructor: 3, at: new Date(1) }],
    ['half of a larger buffer', new Uint16Array([1, 2, 3, 4]).subarray(1, 3)],
    ['large bytes', new Uint8Array(200_000).map((_, at) => at)],
    [
      'an error',
      Object.assign(new RangeError('r', { cause: [new Date(1)] }), { code: 'E', name: 'Mine' }),
    ],
  ])('P10, PC-16: %s', (_, value) => expectSame(roundTrip(value), value));

  it.each([undefined, null, 0, '', false])('P10, CA-49: %p is a value', (value) => {
    expect(roundTrip(value)).toBe(value);
  });

  it.each(deepest)(
    'P10: %i nested %s can be copied, and so can be written',
    (levels, _, around) => {
      const value = nested(levels, around);
      const codecs = new ClassCodecs();
      expect(() => roundTrip(copyOut(copyIn(value, codecs, 'k'), codecs))).not.toThrow();
    },
  );

  it('has a name for statistics', () => expect(name).toBe('rich-json'));
});

describe('what cannot be written', () => {
  it.each<[string, unknown, RegExp]>([
    ['a function', { a: [0, () => 1] }, /\$\.a\[1\] is a function.*Leave it out/],
    ['an instance', { a: new (class User {})() }, /\$\.a is an instance of User.*codec/],
    ['toJSON', { toJSON: () => 'x' }, /\$\.toJSON is a function/],
    ['a symbol key', { a: { [Symbol('mark')]: 1 } }, /\$\.a has the symbol key/],
    ['a match', [/b/.exec('abc')], /\$\[0\] has the property/],
    [
      'a Map’s own property',
      new Map([[1, Object.assign(new Map(), { x: 1 })]]),
      /\[1\] has the property x/,
    ],
  ])('P10, PC-15: %s, with path, kind and remedy', (_, value, message) => {
    expect(() => serialize(value)).toThrow(SerializationError);
    expect(() => serialize(value)).toThrow(message);
  });

  it('PC-15: a circle, and 100,000 levels', () => {
    const circle: unknown[] = [];
    circle.push({ circle });
    expect(() => serialize(circle)).toThrow(SerializationError);
    for (const [, , around] of deepest)
      expect(() => serialize(nested(100_000, around))).toThrow(/1000 levels/);
  });

  it('P16: one object in ever more places, before its copies fill the memory', () => {
    let value: unknown = { a: 1 };
    for (let level = 0; level < 30; level++) value = [value, value];
    expect(() => serialize(value)).toThrow(SerializationError);
    expect(() => serialize(value)).toThrow(/the same objects more than 100000 times/);
  });
});

describe('bytes that are no value', () => {
  const rich = {
    at: new Date(5),
    map: new Map([['k', new Set([1n, undefined, -0])]]),
    bytes: Buffer.from('abc'),
    error: shortError('x', { cause: /a/g }),
    url: new URL('http://a/?b'),
    tag: { $nsc: 1 },
    holes: [, 1], // oxlint-disable-line no-sparse-arrays
    text: 'é😀',
  };

  it.each([
    ['empty', new Uint8Array()],
    ['of another format', bytesOf('{"a":1}')],
    ['nothing but a header', bytesOf('p')],
    ['trailing garbage', bytesOf('p{"a":1}x')],
    ['two values', bytesOf('p1 2')],
    ['bad UTF-8', Uint8Array.of(0x70, 0x22, 0xff, 0x22)],
    ['cut UTF-8', Uint8Array.of(0x70, 0x22, 0xc3, 0x22)],
    ['a surrogate in UTF-8', Uint8Array.of(0x70, 0x22, 0xed, 0xa0, 0x80, 0x22)],
    ['a byte order mark', bytesOf('p\ufeff1')],
    ['a v8 or pickle header', Uint8Array.of(0xff, 0x0f, 0x80, 0x04)],
  ])('PC-15, SC-42: %s', (_, bytes) => {
    expect(() => deserialize(bytes)).toThrow(SerializationError);
  });

  it.each([
    '{"$nsc":"eval","v":"1"}',
    '{"$nsc":"constructor"}',
    '{"$nsc":"__proto__"}',
    '{"$nsc":null}',
    '{"$nsc":["Date"],"v":0}',
    '{"$nsc":"hole"}',
    '{"$nsc":"Date","v":{"toString":1,"valueOf":2}}',
    '{"$nsc":"Map","v":{"length":2}}',
    '{"$nsc":"Map","v":[1]}',
    '{"$nsc":"Map","__proto__":{"v":[]}}',
    '{"$nsc":"Set","v":"ab"}',
    '{"$nsc":"bigint","v":"1e3"}',
    '{"$nsc":"bigint","v":""}',
    '{"$nsc":"number","v":"1"}',
    '{"$nsc":"RegExp","v":["(","g"]}',
    '{"$nsc":"RegExp","v":["a","zz"]}',
    '{"$nsc":"URL","v":"nonsense"}',
    '{"$nsc":"bytes","v":"YQ==","c":"Function"}',
    '{"$nsc":"bytes","v":"YQ==","c":"Uint16Array"}',
    '{"$nsc":"bytes","v":"YQ","c":"Buffer"}',
    '{"$nsc":"bytes","v":"Y Q=","c":"Buffer"}',
    '{"$nsc":"bytes","v":8000000000,"c":"ArrayBuffer"}',
    '{"$nsc":"Error","v":[],"own":[],"c":"Function"}',
    '{"$nsc":"Error","v":[],"own":[],"c":"toString"}',
    '{"$nsc":"Error","v":[],"c":"Error"}',
    '{"$nsc":"object","v":["a"]}',
    '{"$nsc":"object","v":[{},1]}',
    '{"$nsc":"class","v":{},"c":"__proto__"}',
    '{"$nsc":"class","v":{},"c":"Function"}',
    '{"$nsc":"class","v":{}}',
  ])('SC-42: the hostile form %s', (form) => {
    expect(() => deserialize(bytesOf(`t${form}`))).toThrow(SerializationError);
    expect(() =>
      deserialize(
        bytesOf(`t[[{"a":${form === '{"$nsc":"hole"}' ? '{"b":{"$nsc":"hole"}}' : form}}]]`),
      ),
    ).toThrow(SerializationError);
  });

  it('SC-42: 100,000 levels, written by somebody else', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
      ['{"$nsc":"Set","v":[', ']}'],
      ['{"$nsc":"Map","v":[1,', ']}'],
    ])
      for (const kind of ['p', 't']) {
        const bytes = bytesOf(kind + open!.repeat(100_000) + '1' + close!.repeat(100_000));
        expect(() => deserialize(bytes)).toThrow(/too deep/);
      }
  });

  it('PC-14: brackets in long texts are no levels', () => {
    const value = {
      a: '['.repeat(5_000),
      b: '\\"[{'.repeat(2_000),
      c: Array.from({ length: 3_000 }, () => [{}]),
    };
    expectSame(roundTrip(value), value);
  });

  it('SC-42: own __proto__ fields pollute nothing', () => {
    for (const text of [
      'p{"__proto__":{"polluted":1}}',
      't{"__proto__":{"polluted":{"$nsc":"undefined"}},"constructor":{"prototype":{"polluted":1}}}',
      't{"$nsc":"object","v":["__proto__",{"polluted":1}]}',
      't{"$nsc":"bare","v":["__proto__",{"polluted":1}]}',
      't{"$nsc":"Error","v":["__proto__",{"polluted":1},"constructor",1],"own":["__proto__",{"polluted":1}],"c":"Error"}',
    ]) {
      const value = deserialize(bytesOf(text)) as { polluted?: unknown };
      expect(value.polluted).toBeUndefined();
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
      expect((new Error() as { polluted?: unknown }).polluted).toBeUndefined();
    }
  });

  it('P15, SC-42: any flipped byte and any cut gives a value or SerializationError', () => {
    const bytes = Uint8Array.from(serialize(rich));
    for (let at = 0; at < bytes.length; at++) {
      read(bytes.subarray(0, at));
      for (const flip of [1, 2, 4, 8, 16, 32, 64, 128, 255]) {
        const broken = bytes.slice();
        broken[at]! ^= flip;
        read(broken);
      }
    }
  });

  it('SC-42: any bytes and any tagged JSON give a value or SerializationError, and pollute nothing', () => {
    const before = Object.getOwnPropertyNames(Object.prototype).length;
    const tags = fc.constantFrom(
      'undefined',
      'number',
      'bigint',
      'Date',
      'RegExp',
      'URL',
      'URLSearchParams',
      'Map',
      'Set',
      'object',
      'bare',
      'bytes',
      'Error',
      'class',
      'hole',
      'x',
    );
    const form = fc.record(
      {
        $nsc: tags,
        v: fc.jsonValue(),
        c: fc.oneof(fc.jsonValue(), fc.constantFrom('Error', 'Buffer', 'Uint8Array', '__proto__')),
      },
      { requiredKeys: ['$nsc'] },
    );
    const text = fc
      .oneof(form, fc.jsonValue())
      .map((value) => bytesOf(`t${JSON.stringify({ a: [value], v: value, $nsc: undefined })}`));
    const any = fc.uint8Array().map((array) => Uint8Array.of(0x74, ...array));
    fc.assert(
      fc.property(
        fc.oneof(
          form.map((value) => bytesOf(`t${JSON.stringify(value)}`)),
          text,
          any,
        ),
        (bytes) => {
          read(bytes);
          expect(Object.getOwnPropertyNames(Object.prototype)).toHaveLength(before);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('P4: an error over bytes that are no JSON quotes nothing of them, in its cause neither', () => {
    try {
      deserialize(Uint8Array.of(serialize(1)[0]!, ...new TextEncoder().encode('hunter2}')));
      throw new Error('it was read');
    } catch (error) {
      expect(error).toMatchObject({ code: 'SERIALIZATION' });
      expect(inspect(error)).not.toMatch(/hunter2/);
    }
  });

  it('P11: what was read shares no memory with the bytes', () => {
    const bytes = Uint8Array.from(serialize(Buffer.from('abc')));
    const value = deserialize(bytes) as Buffer;
    bytes.fill(0);
    expect(value.toString()).toBe('abc');
    expect(value.buffer.byteLength).toBe(3);
  });
});

describe('a platform without Buffer', () => {
  const { Buffer } = globalThis;
  beforeAll(() => void Reflect.deleteProperty(globalThis, 'Buffer'));
  afterAll(() => void Object.assign(globalThis, { Buffer }));

  it('P10: writes and reads the same bytes', () => {
    const value = { text: 'é', bytes: new Uint8Array(100_000).map((_, at) => at) };
    const bytes = serialize(value);
    expect(bytes.constructor.name).toBe('Uint8Array');
    expectSame(deserialize(bytes), value);
    expectSame(copyOut(copyIn(value, new ClassCodecs(), 'k'), new ClassCodecs()), value);
  });
});
