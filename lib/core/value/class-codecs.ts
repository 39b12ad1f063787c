import { describe, InvalidOptionsError } from '../errors.js';
import { typeCodec } from './type-codec.js';
import { isStoredAnyway } from './kinds.js';

/** How instances of one class are stored and come back. */
// oxlint-disable-next-line typescript/no-explicit-any -- codecs of different classes live in one list
export interface ClassCodec<T = any, P = any> {
  /** Written beside stored values, so it must stay the same in every process and release. Unique in the cache. */
  readonly name: string;
  /** Exactly this class; subclasses need codecs of their own. */
  // oxlint-disable-next-line typescript/no-explicit-any -- a class with any constructor
  readonly type: abstract new (...args: any[]) => T;
  /** The instance as plain data. May hold everything that a cache can store. */
  encode(instance: T): P;
  /** The instance that the data stands for. Must not run code that the data chooses. */
  decode(plain: P): T;
}

/** The classes whose instances one cache can store. */
export class ClassCodecs {
  readonly #byPrototype = new Map<object, ClassCodec>();
  readonly #byName = new Map<string, ClassCodec>();
  /** Those made by {@link registerType}: their instances are nothing but the fields we put into them. */
  readonly #made = new Set<ClassCodec>();

  /** @throws InvalidOptionsError for an incomplete codec, or one whose name or class is taken by another */
  register(codec: ClassCodec): void {
    checkShape(codec);
    const known = this.#byName.get(codec.name);
    if (known && known.type !== codec.type)
      throw new InvalidOptionsError(
        `codecs: two classes are named "${codec.name}". Register one of them by a codec with another name.`,
      );
    this.#byName.set(codec.name, codec);
    this.#byPrototype.set(codec.type.prototype as object, codec);
  }

  /**
   * Registers a class by its name: own enumerable fields are stored (those of errors that are not enumerable as well),
   * and put back without calling the constructor, so `#private` fields do not come back. Does nothing for a class that
   * has a codec already, nor for built-in ones that need none.
   * @throws InvalidOptionsError for what is no class, has no name or one that is taken, or extends a built-in class
   */
  registerType(type: abstract new (...args: never[]) => unknown): void {
    if (typeof type !== 'function' || typeof type.prototype !== 'object' || type.prototype === null)
      throw new InvalidOptionsError(
        `type: expected () => TheClass, got a function that returns ${describe(type)}.`,
      );
    if (this.#byPrototype.has(type.prototype as object) || isStoredAnyway(type)) return;
    const codec = typeCodec(type);
    this.register(codec);
    this.#made.add(codec);
  }

  /** The codec of the object's very class. */
  ofInstance(value: object): ClassCodec | undefined {
    return this.#byPrototype.size === 0
      ? undefined
      : this.#byPrototype.get(Object.getPrototypeOf(value) as object);
  }

  byName(name: string): ClassCodec | undefined {
    return this.#byName.get(name);
  }

  /** Whether instances are known to hold nothing but fields, which a freeze can reach. */
  areFieldsOnly(codec: ClassCodec): boolean {
    return this.#made.has(codec);
  }
}

function checkShape(codec: ClassCodec): void {
  const given = codec as Partial<ClassCodec> | null;
  if (
    typeof given?.name !== 'string' ||
    given.name === '' ||
    typeof given.type !== 'function' ||
    typeof given.encode !== 'function' ||
    typeof given.decode !== 'function'
  )
    throw new InvalidOptionsError(
      `codecs: expected { name, type, encode, decode }, got ${describe(codec)}.`,
    );
  if (isStoredAnyway(given.type))
    throw new InvalidOptionsError(
      `codecs: ${given.type.name} needs no codec and takes none. Remove "${given.name}".`,
    );
}

/**
 * What the option `type` names, `() => User` for example; `undefined` from such a function names nothing.
 * @throws InvalidOptionsError for the class itself, and for what is no function
 */
export function classNamedBy(type: unknown): (new (...args: never[]) => unknown) | undefined {
  // An arrow function has no prototype, so hits do not pay for the second look.
  const isThunk =
    typeof type === 'function' &&
    (type.prototype === undefined || !/^class\b/.test(Function.prototype.toString.call(type)));
  if (isThunk) return (type as () => new (...args: never[]) => unknown)();
  const got = typeof type === 'function' ? `the class ${type.name} itself` : describe(type);
  throw new InvalidOptionsError(`type: expected a function such as () => User, got ${got}.`);
}
