import { describe, InvalidOptionsError } from '../errors.js';
/* temporary */
export interface ClassCodec<T = any, P = unknown> {
  readonly name: string;
  readonly type: new (...args: any[]) => T;
  encode(instance: T): P;
  decode(plain: P): T;
}
export class ClassCodecs {
  readonly #byProto = new Map<object, ClassCodec>();
  readonly #byName = new Map<string, ClassCodec>();
  register(codec: ClassCodec): void {
    this.#byProto.set(codec.type.prototype as object, codec);
    this.#byName.set(codec.name, codec);
  }
  registerType(type: new (...args: any[]) => unknown): void {
    const known = this.#byName.get(type.name);
    if (known?.type === type) return;
    if (known) throw new InvalidOptionsError(`two classes named ${describe(type.name)}`);
    this.register({
      name: type.name,
      type,
      encode: (i: object) => ({ ...i }),
      decode: (p: unknown) => Object.assign(Object.create(type.prototype as object) as object, p),
    });
  }
  ofInstance(value: object): ClassCodec | undefined {
    return this.#byProto.get(Object.getPrototypeOf(value) as object);
  }
  byName(name: string): ClassCodec | undefined {
    return this.#byName.get(name);
  }
}
