import { describe, InvalidOptionsError } from '../errors.js';

/** How instances of one class are stored and come back. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- codecs of different classes live in one list
export interface ClassCodec<T = any, P = any> {
  /** Written beside stored values, so it must stay the same in every process and release. Unique in the cache. */
  readonly name: string;
  /** Exactly this class; subclasses need codecs of their own. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a class with any constructor
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

  /** @throws InvalidOptionsError for an incomplete codec, or one whose name or class is taken by another */
  register(codec: ClassCodec): void {
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
    const known = this.#byName.get(codec.name);
    if (known && known.type !== codec.type)
      throw new InvalidOptionsError(
        `codecs: two classes are named "${codec.name}". Register one of them by a codec with another name.`,
      );
    this.#byName.set(codec.name, codec);
    this.#byPrototype.set(codec.type.prototype as object, codec);
  }

  /**
   * Registers a class by its name: own enumerable fields are stored, and put back without calling the constructor.
   * Does nothing for a class that has a codec already.
   */
  registerType(type: abstract new (...args: never[]) => unknown): void {
    if (typeof type !== 'function')
      throw new InvalidOptionsError(
        `type: expected () => TheClass, got a function that returns ${describe(type)}.`,
      );
    const prototype = type.prototype as object;
    if (this.#byPrototype.has(prototype)) return;
    this.register({
      name: type.name,
      type,
      encode: (instance: object) => ({ ...instance }),
      decode: (plain: object) =>
        Object.defineProperties(
          Object.create(prototype) as object,
          Object.getOwnPropertyDescriptors(plain),
        ),
    });
  }

  ofInstance(value: object): ClassCodec | undefined {
    return this.#byPrototype.size === 0
      ? undefined
      : this.#byPrototype.get(Object.getPrototypeOf(value) as object);
  }

  byName(name: string): ClassCodec | undefined {
    return this.#byName.get(name);
  }
}
