import type { Serializer } from '../core/value/serializer.js';
import { assert, assertEqual, assertRejects } from './assertions.js';
import { AWKWARD_VALUES } from './contract/awkward.js';
import { clauseDeclarer, type ContractOptions } from './runner.js';

/** For {@link serializerContract}. */
export interface SerializerContractOptions extends ContractOptions {
  makeSerializer(): Serializer;
  /** Further values that must come back equal. */
  readonly values?: readonly (readonly [name: string, value: unknown])[];
}

/** Declares the tests that every serializer must pass: P10, P11, and bytes that are not to be trusted. */
export function serializerContract(options: SerializerContractOptions): void {
  const clause = clauseDeclarer(options);
  const make = (): Serializer => options.makeSerializer();
  const there = (value: unknown): unknown => make().deserialize(make().serialize(value));

  options.describe(`serializer contract: ${options.name}`, () => {
    for (const [name, value] of [...AWKWARD_VALUES, ...(options.values ?? [])])
      clause('P10', `${name} comes back as it was, in another instance too`, () => {
        assertEqual(there(value), value, 'the value');
        assertEqual(there({ in: [value] }), { in: [value] }, 'the value inside another');
      });

    clause('P10', 'the bytes are a Uint8Array of their own', () => {
      const bytes = make().serialize({ a: 1 });
      assert(bytes instanceof Uint8Array, 'serialize must return a Uint8Array.');
      const serializer = make();
      const [one, other] = [serializer.serialize('one'), serializer.serialize('two')];
      assertEqual(serializer.deserialize(one), 'one', 'the first value after a second one');
      assertEqual(serializer.deserialize(other), 'two', 'the second value');
    });

    clause('P11', 'each deserialize makes a new object', () => {
      const serializer = make();
      const bytes = serializer.serialize({ list: [1] });
      const first = serializer.deserialize(bytes) as { list: number[] };
      first.list.push(2);
      assertEqual(serializer.deserialize(bytes), { list: [1] }, 'the value, read again');
    });

    clause('P10', 'what cannot be stored is refused with a SerializationError', async () => {
      const circular: Record<string, unknown> = {};
      circular['self'] = circular;
      for (const value of [() => 1, { a: Symbol('s') }, [new WeakMap()], circular])
        await assertRejects(() => make().serialize(value), 'serialize', 'SERIALIZATION');
    });

    clause('P8', 'bytes that are no value are refused with a SerializationError', async () => {
      const good = make().serialize({ text: 'abc', list: [1, 2, 3], map: new Map([[1, 2]]) });
      const bad = [
        new Uint8Array(0),
        new Uint8Array([0xff, 0xfe, 0xfd]),
        good.subarray(0, good.length - 2),
        new TextEncoder().encode('p{"a":'),
      ];
      for (const bytes of bad)
        await assertRejects(() => make().deserialize(bytes), 'deserialize', 'SERIALIZATION');
    });

    clause('P10 SC-42', 'no value changes prototypes when it is read', () => {
      const hostile: unknown = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"a":2}}');
      const back = there(hostile) as object;
      assertEqual(({} as Record<string, unknown>)['polluted'], undefined, 'a new object’s field');
      assert(Object.getPrototypeOf(back) === Object.prototype, 'The value got another prototype.');
    });
  });
}
