import { SerializationError } from '../errors.js';
import type { ClassCodecs } from './class-codecs.js';
import { DEPTH_MAX, emptyError, viewClass } from './copy.js';
import { STANDARD_ERRORS } from './kinds.js';
import { TAG } from './wire-encode.js';

/**
 * The value that a parsed wire form stands for. Treats its input as hostile: unknown tags, wrong shapes and deep nesting
 * are errors, names are defined and never assigned, and only registered classes are made.
 * @throws SerializationError
 */
export function fromWire(wire: unknown, codecs: ClassCodecs | undefined): unknown {
  return new WireDecoder(codecs).decode(wire, 0);
}

const VIEW_NAMES: ReadonlySet<unknown> = new Set([
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'DataView',
]);

class WireDecoder {
  constructor(readonly codecs: ClassCodecs | undefined) {}

  decode(wire: unknown, depth: number): unknown {
    if (typeof wire !== 'object' || wire === null) return wire;
    // Tags add levels of their own, so the limit is wider than when writing.
    if (depth > DEPTH_MAX * 4) throw broken('it is nested too deep');
    if (Array.isArray(wire)) return this.#array(wire as unknown[], depth);
    const fields = wire as Record<string, unknown>;
    if (Object.hasOwn(fields, TAG)) return this.#revive(fields, depth);
    for (const name of Object.keys(fields)) {
      const inner = fields[name];
      if (typeof inner === 'object' && inner !== null)
        define(fields, name, this.decode(inner, depth + 1));
    }
    return fields;
  }

  #array(items: unknown[], depth: number): unknown[] {
    for (let at = 0; at < items.length; at++) {
      const inner = items[at];
      if (isHole(inner)) delete items[at];
      else if (typeof inner === 'object' && inner !== null)
        items[at] = this.decode(inner, depth + 1);
    }
    return items;
  }

  #revive(fields: Record<string, unknown>, depth: number): unknown {
    const v = fields['v'];
    switch (fields[TAG]) {
      case 'undefined':
        return undefined;
      case 'number':
        return this.#number(v);
      case 'bigint':
        return this.#attempt(() => BigInt(text(v)));
      case 'Date':
        return new Date(this.decode(v, depth + 1) as number);
      case 'RegExp':
        return this.#attempt(() => new RegExp(text(list(v)[0]), text(list(v)[1])));
      case 'URL':
        return this.#attempt(() => new URL(text(v)));
      case 'Map':
        return new Map(
          list(v).map((pair) => [
            this.decode(list(pair)[0], depth + 1),
            this.decode(list(pair)[1], depth + 1),
          ]),
        );
      case 'Set':
        return new Set(list(v).map((item) => this.decode(item, depth + 1)));
      case 'object':
        return this.#fields({}, v, depth);
      case 'bare':
        return this.#fields(Object.create(null) as object, v, depth);
      case 'bytes':
        return this.#bytes(text(v), fields['c']);
      case 'Error':
        return this.#error(list(v), fields['c'], depth);
      case 'class':
        return this.#instance(v, fields['c'], depth);
      default:
        throw broken('it has an unknown tag');
    }
  }

  #number(v: unknown): number {
    if (v === '-0' || v === 'NaN' || v === 'Infinity' || v === '-Infinity') return Number(v);
    throw broken('a number is misspelt');
  }

  #fields(target: object, pairs: unknown, depth: number, enumerable = true): object {
    for (const pair of list(pairs))
      define(target, text(list(pair)[0]), this.decode(list(pair)[1], depth + 1), enumerable);
    return target;
  }

  #error(parts: unknown[], name: unknown, depth: number): Error {
    if (!STANDARD_ERRORS.has(name as string)) throw broken('it holds an unknown kind of error');
    const error = emptyError(name as string);
    this.#fields(error, parts[0], depth, false);
    return this.#fields(error, parts[1], depth) as Error;
  }

  #bytes(base64: string, name: unknown): unknown {
    const binary = this.#attempt(() => atob(base64));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    if (name === 'ArrayBuffer') return bytes.buffer;
    if (name === 'Buffer')
      return (
        (globalThis as { Buffer?: { from(b: ArrayBuffer): Uint8Array } }).Buffer?.from(
          bytes.buffer,
        ) ?? bytes
      );
    if (!VIEW_NAMES.has(name)) throw broken('it holds bytes of an unknown kind');
    return this.#attempt(() => new (viewClass(name as string))(bytes.buffer));
  }

  #instance(v: unknown, name: unknown, depth: number): unknown {
    const codec = this.codecs?.byName(text(name));
    if (!codec)
      throw new SerializationError(
        `The stored value is an instance of ${text(name)}, a class this cache does not know here. Name it with type: () => ${text(name)}, or register its codec.`,
      );
    return codec.decode(this.decode(v, depth + 1));
  }

  #attempt<T>(make: () => T): T {
    try {
      return make();
    } catch (error) {
      throw new SerializationError('The stored bytes hold a malformed value.', { cause: error });
    }
  }
}

function isHole(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    (value as Record<string, unknown>)[TAG] === 'hole'
  );
}

function define(target: object, name: string, value: unknown, enumerable = true): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable, configurable: true });
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw broken('a list is missing');
  return value as unknown[];
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw broken('a text is missing');
  return value;
}

function broken(why: string): SerializationError {
  return new SerializationError(`The stored bytes are no value: ${why}.`);
}
