import fc from 'fast-check';
import { ClassCodecs } from '../../../lib/core/value/class-codecs.js';
import { valuePolicy, type Isolation } from '../../../lib/core/value/value-policy.js';
import { richValue } from './arbitraries.js';
import { expectSame } from './same.js';

class User {
  constructor(public tags: string[]) {}
}
/** Keeps its state where no freeze reaches. */
class Counter {
  #count = 0;
  readonly owner: object;
  constructor(count: number, owner: object) {
    this.#count = count;
    this.owner = owner;
  }
  get count(): number {
    return this.#count;
  }
  add(): number {
    return ++this.#count;
  }
}
const service = { connections: 0 };
const codecs = new ClassCodecs();
codecs.registerType(User);
codecs.register({
  name: 'counter',
  type: Counter,
  encode: (counter: Counter) => counter.count,
  decode: (count: number) => new Counter(count, service),
});
const policyOf = (isolation: Isolation) => valuePolicy(isolation, codecs);
const rich = () => ({
  list: [{ n: 1 }],
  map: new Map([['k', { n: 1 }]]),
  set: new Set([{ n: 1 }]),
  at: new Date(1),
  user: new User(['a']),
  error: new AggregateError([{ n: 1 }], 'no', { cause: { n: 1 } }),
});

describe.each<Isolation>(['clone', 'frozen'])('isolation: %s', (isolation) => {
  const policy = policyOf(isolation);

  it('P10: hands out what was stored', () => {
    fc.assert(
      fc.property(richValue, (value) => {
        const kept = policy.admit(value, 'k');
        expectPlain(policy.release(kept), value);
        expectPlain(policy.release(kept), value);
      }),
      { numRuns: 300 },
    );
  });

  it('P10: takes back what it handed out', () => {
    const released = policy.release(policy.admit(rich(), 'k'));
    const again = policy.release(policy.admit(released, 'k')) as ReturnType<typeof rich>;
    expectPlain(again, rich(), ['error']);
    expect([...again.map.keys()]).toEqual(['k']);
  });

  it('P11, UD-32: no change to what was passed in or handed out is ever seen again', () => {
    const value = rich();
    const kept = policy.admit(value, 'k');
    change(value);
    change(policy.release(kept) as typeof value);
    const later = policy.release(kept) as typeof value;
    expectPlain(later, rich(), ['error']);
    expect(later.error.errors).toEqual([{ n: 1 }]);
    expect(later.error.cause).toEqual({ n: 1 });
  });

  it('P11, UD-32: neither in bytes, URLs, patterns nor in state that only a codec knows', () => {
    const kept = policy.admit(
      {
        bytes: Buffer.from('abc'),
        url: new URL('http://a/'),
        pattern: /a/g,
        counter: new Counter(5, service),
        memory: new ArrayBuffer(1),
      },
      'k',
    );
    for (let round = 0; round < 3; round++) {
      const got = policy.release(kept) as {
        bytes: Buffer;
        url: URL;
        pattern: RegExp;
        counter: Counter;
        memory: ArrayBuffer;
      };
      expect([
        got.bytes.toString(),
        got.url.host,
        got.pattern.test('ba'),
        got.counter.add(),
        new Uint8Array(got.memory)[0],
      ]).toEqual(['abc', 'a', true, 6, 0]);
      got.bytes.fill(0);
      got.url.host = 'evil';
      new Uint8Array(got.memory).fill(9);
    }
  });

  it('P10, CA-49: primitives pass as they are', () => {
    for (const value of [undefined, null, 0, -0, '', false, 1n, NaN])
      expect(Object.is(policy.release(policy.admit(value, 'k')), value)).toBe(true);
  });

  it('P10: refuses a function', () => {
    expect(() => policy.admit({ f: () => 1 }, 'key "k"')).toThrow(/key "k": \$\.f is a function/);
  });
});

describe('isolation: frozen', () => {
  const policy = policyOf('frozen');

  it('shares one snapshot', () => {
    const kept = policy.admit(rich(), 'k');
    expect(policy.release(kept)).toBe(policy.release(kept));
  });

  it('P11: a change throws TypeError, everywhere', () => {
    const got = policy.release(policy.admit(rich(), 'k')) as ReturnType<typeof rich>;
    const changes: (() => unknown)[] = [
      () => (got.list = []),
      () => got.list.push({ n: 2 }),
      () => (got.list[0]!.n = 2),
      () => got.map.set('k', { n: 2 }),
      () => got.map.delete('k'),
      () => got.map.clear(),
      () => (got.map.get('k')!.n = 2),
      () => got.set.add({ n: 2 }),
      () => got.set.delete([...got.set][0]!),
      () => got.set.clear(),
      () => ([...got.set][0]!.n = 2),
      () => got.at.setTime(2),
      () => got.at.setUTCFullYear(2),
      () => (got.user.tags = []),
      () => got.user.tags.push('b'),
      () => (got.error.message = 'x'),
      () => ((got.error.cause as { n: number }).n = 2),
      () => ((got.error.errors[0] as { n: number }).n = 2),
    ];
    for (const change of changes) expect(change).toThrow(TypeError);
  });

  it('P11: the rest of what holds bytes is frozen too', () => {
    const got = policy.release(policy.admit({ bytes: new Uint8Array(1), n: { m: 1 } }, 'k')) as {
      n: { m: number };
    };
    expect(() => (got.n.m = 2)).toThrow(TypeError);
  });

  it('freezes nothing that is not the cache’s: the caller’s value, what a codec shares', () => {
    const value = rich();
    policy.admit(value, 'k');
    policy.release(policy.admit(new Counter(1, service), 'k'));
    change(value);
    service.connections++;
    expect(service.connections).toBe(1);
  });
});

describe('isolation: none', () => {
  it('hands out the very object, whatever it is', () => {
    const policy = policyOf('none');
    for (const value of [{}, () => 1, new WeakMap(), Symbol('s'), 1]) {
      expect(policy.admit(value, 'k')).toBe(value);
      expect(policy.release(value)).toBe(value);
    }
  });
});

function expectPlain(actual: unknown, expected: unknown, except: string[] = []): void {
  const codec = valuePolicy('clone', codecs);
  const without = (value: unknown): unknown => {
    const copy = codec.release(codec.admit(value, 'k')) as Record<string, unknown>;
    for (const name of except) delete copy[name];
    return copy;
  };
  expectSame(without(actual), without(expected));
}

/** Changes whatever can be changed; what throws is frozen, and that is fine. */
function change(value: ReturnType<typeof rich>): void {
  const changes: (() => unknown)[] = [
    () => value.list.push({ n: 2 }),
    () => (value.list[0]!.n = 2),
    () => (value.map.get('k')!.n = 2),
    () => value.map.clear(),
    () => ([...value.set][0]!.n = 2),
    () => value.set.clear(),
    () => value.at.setTime(2),
    () => value.user.tags.push('b'),
    () => (value.error.errors[0].n = 2),
    () => ((value.error.cause as { n: number }).n = 2),
  ];
  for (const each of changes)
    try {
      each();
    } catch (error) {
      expect(error).toBeInstanceOf(TypeError);
    }
}
