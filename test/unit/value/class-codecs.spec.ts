import { InvalidOptionsError, SerializationError } from '../../../lib/core/errors.js';
import { ClassCodecs } from '../../../lib/core/value/class-codecs.js';
import { copyIn, copyOut } from '../../../lib/core/value/copy.js';
import { richSerializer } from '../../../lib/core/value/serializer.js';
import { expectSame } from './same.js';

class User {
  static made = 0;
  constructor(
    public name: string,
    public born?: Date,
  ) {
    User.made++;
  }
  get initial(): string {
    return this.name[0]!;
  }
}
class Money {
  readonly #cents: bigint;
  constructor(cents: bigint) {
    this.#cents = cents;
  }
  get cents(): bigint {
    return this.#cents;
  }
}
class NotFound extends RangeError {
  status = 404;
}
const money = {
  name: 'money',
  type: Money,
  encode: (m: Money) => m.cents,
  decode: (c: bigint) => new Money(c),
};

function ways(codecs: ClassCodecs): [string, (value: unknown) => unknown][] {
  const { serialize, deserialize } = richSerializer(codecs);
  return [
    ['copy', (value) => copyOut(copyIn(value, codecs, 'k'), codecs)],
    ['bytes', (value) => deserialize(serialize(value))],
  ];
}

describe('instances', () => {
  const codecs = new ClassCodecs();
  codecs.register(money);
  codecs.registerType(User);
  codecs.registerType(NotFound);

  it.each(ways(codecs))(
    'P10: of a named class come back as instances, without a call of the constructor (%s)',
    (_, way) => {
      const user = new User('ann', new Date(5));
      const made = User.made;
      const back = way({ users: [user] }) as { users: User[] };
      expectSame(back, { users: [user] });
      expect(back.users[0]).not.toBe(user);
      expect(back.users[0]!.born).not.toBe(user.born);
      expect(back.users[0]!.initial).toBe('a');
      expect(User.made).toBe(made);
    },
  );

  it.each(ways(codecs))(
    'P10: of a class with a codec come back by it, private fields included (%s)',
    (_, way) => {
      const back = way(new Map([['m', new Money(7n)]])) as Map<string, Money>;
      expect(back.get('m')).toBeInstanceOf(Money);
      expect(back.get('m')!.cents).toBe(7n);
    },
  );

  it.each(ways(codecs))('P10: of an error class come back as true errors of it (%s)', (_, way) => {
    const error = new NotFound('gone', { cause: new Date(1) });
    const back = way(error);
    expect(back).toBeInstanceOf(NotFound);
    expect(Object.prototype.toString.call(back)).toBe('[object Error]');
    expectSame(back, error);
  });

  it.each(ways(codecs))(
    'P10: of a subclass are refused, not made instances of the parent (%s)',
    (_, way) => {
      class Admin extends User {}
      expect(() => way(new Admin('root'))).toThrow(/an instance of Admin/);
    },
  );

  it.each(ways(codecs))('PC-15: that hold themselves are refused (%s)', (_, way) => {
    const user = Object.assign(new User('ann'), { friends: [] as unknown[] });
    user.friends.push(user);
    expect(() => way(user)).toThrow(SerializationError);
  });

  it('P10: whose codec fails are refused with the cause', () => {
    const broken = new ClassCodecs();
    const cause = new Error('codec');
    broken.register({
      ...money,
      encode: () => {
        throw cause;
      },
    });
    for (const [, way] of ways(broken))
      expect(() => way([new Money(1n)])).toThrow(
        expect.objectContaining({ code: 'SERIALIZATION', cause }),
      );
    broken.register({
      ...money,
      decode: () => {
        throw cause;
      },
    });
    expect(() =>
      richSerializer(broken).deserialize(richSerializer(codecs).serialize(new Money(1n))),
    ).toThrow(SerializationError);
  });

  it('SC-42: of a class that is not registered are refused when read', () => {
    const bytes = richSerializer(codecs).serialize(new Money(1n));
    expect(() => richSerializer(new ClassCodecs()).deserialize(bytes)).toThrow(
      /instance of "money".*not known here/,
    );
  });
});

describe('registering', () => {
  it('is idempotent for one class and refuses another of the same name', () => {
    const codecs = new ClassCodecs();
    codecs.registerType(User);
    codecs.registerType(User);
    expect(() => codecs.registerType({ User: class User {} }.User)).toThrow(InvalidOptionsError);
    expect(codecs.byName('User')!.type).toBe(User);
    expect(codecs.ofInstance(new User('a'))).toBe(codecs.byName('User'));
    expect(codecs.ofInstance(Object.create(null) as object)).toBeUndefined();
  });

  it('keeps a codec that was given for the class', () => {
    const codecs = new ClassCodecs();
    codecs.register(money);
    codecs.registerType(Money);
    expect(codecs.ofInstance(new Money(1n))).toBe(money);
  });

  it('does nothing for what is stored anyway', () => {
    const codecs = new ClassCodecs();
    for (const type of [
      Object,
      Array,
      String,
      Number,
      Boolean,
      BigInt,
      Date,
      Map,
      Set,
      RegExp,
      URL,
      Error,
      TypeError,
      Buffer,
      Uint8Array,
      ArrayBuffer,
      DataView,
    ])
      codecs.registerType(type as unknown as new () => unknown);
    const value = { a: [new Date(1), new Map([[1, Buffer.from('x')]]), new TypeError('x')] };
    for (const [, way] of ways(codecs)) expectSame(way(value), value);
  });

  it.each<[string, unknown]>([
    ['no class', 5],
    ['an arrow function', () => 1],
    ['a nameless class', (() => class {})()],
    ['a Promise', Promise],
    ['a Map class', class Index extends Map {}],
    ['an Array class', class Tags extends Array {}],
    ['a Buffer-like class', class Bytes extends Uint8Array {}],
    ['a URL class', class Link extends URL {}],
  ])('refuses %s', (_, type) => {
    expect(() => new ClassCodecs().registerType(type as new () => unknown)).toThrow(
      InvalidOptionsError,
    );
  });

  it.each([
    [null],
    [{}],
    [{ ...money, name: '' }],
    [{ ...money, decode: 1 }],
    [{ ...money, type: Date }],
  ])('refuses the codec %p', (codec) => {
    expect(() => new ClassCodecs().register(codec as never)).toThrow(InvalidOptionsError);
  });
});
