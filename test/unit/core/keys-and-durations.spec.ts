import { describe, expect, it } from '@jest/globals';
import vm from 'node:vm';
import { decodeKey, encodeKey } from '../../../lib/core/cache-key.js';
import { toMs } from '../../../lib/core/duration.js';
import {
  CacheError,
  describe as describeValue,
  InvalidKeyError,
} from '../../../lib/core/errors.js';
import { byteLengthExceeds } from '../../../lib/core/limits.js';

describe('encodeKey', () => {
  it('CA-47 P4 its texts are settled: the same in every process, on every Node version', () => {
    const golden: [Parameters<typeof encodeKey>[0], string][] = [
      ['plain: a/b *', 'plain: a/b *'],
      ['[x]', '\\[x]'],
      ['\\', '\\\\'],
      [['profile', 42], '["profile",42]'],
      [[{ b: 1, a: [true, null, undefined] }], '[{"a":[true,null,undefined],"b":1}]'],
      [[-0, 0, NaN, Infinity, -Infinity, 1e21], '[-0,0,NaN,Infinity,-Infinity,1e+21]'],
      [[10n, '10n', '10', 10], '[10n,"10n","10",10]'],
      [[new Date(5)], '[Date(5)]'],
      [[new Uint8Array([0, 255])], '[Bytes("00ff")]'],
      [
        [
          new Map([
            ['b', 1],
            ['a', 2],
          ]),
        ],
        '[Map([["a",2],["b",1]])]',
      ],
      [[new Set(['b', 'a'])], '[Set(["a","b"])]'],
      [[new URL('http://x/')], '[URL("http://x/")]'],
      [[/a"b/g], '[RegExp("a\\"b","g")]'],
      [['\ud800é\u2028'], '["\\ud800é\u2028"]'],
    ];
    for (const [key, text] of golden) {
      expect(encodeKey(key)).toBe(text);
      expect(decodeKey(text)).toEqual(key);
    }
  });

  it('PC-11 parts are typed and do not run together', () => {
    const keys = [
      ['a:b', 'c'],
      ['a', 'b:c'],
      ['a', 'b', 'c'],
      [1],
      ['1'],
      [1n],
      [true],
      ['true'],
      [null],
      ['null'],
      [undefined],
      [[]],
      [{}],
      [''],
    ];
    expect(new Set(keys.map(encodeKey)).size).toBe(keys.length);
  });

  it('CA-11 PC-09 the order of fields does not matter, that of parts does', () => {
    expect(encodeKey([{ a: 1, b: 2 }])).toBe(encodeKey([{ b: 2, a: 1 }]));
    expect(encodeKey(['a', 'b'])).not.toBe(encodeKey(['b', 'a']));
  });

  it('PC-10 a long key is taken up to 64 kB of UTF-8', () => {
    expect(encodeKey('k'.repeat(65_536))).toHaveLength(65_536);
    for (const key of ['k'.repeat(65_537), 'ü'.repeat(32_769), ['k'.repeat(65_533)]])
      expect(() => encodeKey(key)).toThrow(InvalidKeyError);
  });

  it('P16 a part that is held in ever more places is refused as soon as its text is too long', () => {
    const arounds: ((held: unknown) => unknown)[] = [
      (held) => [held, held],
      (held) => ({ a: held, b: held }),
      (held) => new Map([...'ab'].map((name) => [name, held])),
      (held) => new Set([[held], [held]]),
    ];
    for (const around of arounds) {
      let part: unknown = 1;
      for (let level = 0; level < 40; level++) part = around(part);
      expect(() => encodeKey(['k', part])).toThrow(/longer than 64 kB.*Use an id or a digest/);
    }
  });

  it('values of another realm are the same keys', () => {
    const foreign = vm.runInNewContext(
      `[{ a: new Date(5), m: new Map([[1, new Set([2])]]) }, [1]]`,
    ) as unknown[];
    expect(encodeKey(foreign)).toBe(
      encodeKey([{ a: new Date(5), m: new Map([[1, new Set([2])]]) }, [1]]),
    );
  });

  it('CA-12 P4 what has no stable text is refused, with the path to it', () => {
    const circular: unknown[] = [];
    circular.push(circular);
    let deep: unknown = 1;
    for (let level = 0; level < 200; level++) deep = [deep];
    for (const part of [
      () => 1,
      Symbol('s'),
      new (class User {})(),
      new WeakMap(),
      Promise.resolve(),
      new Float64Array(1),
      circular,
      deep,
    ])
      expect(() => encodeKey(['a', part])).toThrow(InvalidKeyError);
    expect(() => encodeKey([{ user: { f: () => 1 } }])).toThrow(/key\[0\]\.user\.f/);
  });

  it('decodeKey refuses what encodeKey never wrote', () => {
    for (const text of [
      '[',
      '[1',
      '[1]x',
      '[x]',
      '[Date]',
      '[Map(1)]',
      '[{a:1}]',
      '[1,]',
      '["\\x"]',
      '[Function("x")]',
    ])
      expect(() => decodeKey(text)).toThrow();
  });
});

describe('toMs', () => {
  it('PC-03 PC-04 PC-05 numbers are seconds, fractions allowed; strings have units; forever is Infinity', () => {
    const cases: [Parameters<typeof toMs>[0], number][] = [
      [0, 0],
      [-0, 0],
      [60, 60_000],
      [0.5, 500],
      [0.000_1, 1],
      [1.0005, 1_001],
      ['500ms', 500],
      ['30s', 30_000],
      ['10m', 600_000],
      ['24h', 86_400_000],
      ['7d', 604_800_000],
      ['1.5h', 5_400_000],
      ['0s', 0],
      ['forever', Infinity],
    ];
    for (const [duration, ms] of cases) expect(toMs(duration, 'ttl')).toBe(ms);
  });

  it('PC-05 the rest is refused, naming the option and what came', () => {
    for (const bad of [
      -1,
      -0.001,
      NaN,
      Infinity,
      '60',
      ' 5s',
      '5 s',
      '5S',
      '-1s',
      '1e3s',
      '',
      'Infinity',
      null,
      undefined,
      [],
      5n,
      new Date(),
    ])
      expect(() => toMs(bad as never, 'grace')).toThrow(/^grace: expected seconds as a number/);
    expect(() => toMs('60' as never, 'ttl')).toThrow('"60"');
  });
});

describe('errors', () => {
  it('every error has a stable code, a name and is a CacheError', () => {
    const error = new InvalidKeyError('no');
    expect(error).toBeInstanceOf(CacheError);
    expect(error).toMatchObject({ code: 'INVALID_KEY', name: 'InvalidKeyError', message: 'no' });
  });

  it('describe never shows deep or long content', () => {
    expect(describeValue({ password: 'secret' })).toBe('an object');
    expect(describeValue('x'.repeat(41))).toBe('a string of 41 characters');
    expect(describeValue(['secret'])).toBe('an array of 1');
    expect(describeValue(new Map())).toBe('an instance of Map');
    expect(describeValue(Object.create(null))).toBe('an object');
    expect([null, undefined, -0, 5n, true, Symbol('s'), describeValue].map(describeValue)).toEqual([
      'null',
      'undefined',
      '-0',
      '5n',
      'true',
      'a symbol',
      'a function (describe)',
    ]);
  });
});

describe('byteLengthExceeds', () => {
  it('counts bytes of UTF-8, lone surrogates as what they are replaced by', () => {
    for (const text of ['', 'abc', 'é', '漢', '😀', 'a😀é漢'.repeat(7)]) {
      const bytes = Buffer.byteLength(text);
      expect(byteLengthExceeds(text, bytes)).toBe(false);
      if (bytes > 0) expect(byteLengthExceeds(text, bytes - 1)).toBe(true);
    }
  });
});
