import { SerializationError } from '../errors.js';
import { fromBase64, viewOf } from './bytes.js';
import type { ClassCodecs } from './class-codecs.js';
import { DEPTH_MAX } from './copy.js';
import { errorFrom } from './error-parts.js';
import { isViewName, STANDARD_ERRORS } from './kinds.js';
import { TAG } from './wire.js';

/**
 * The value that a parsed wire form stands for. Treats its input as hostile: unknown tags, wrong shapes and deep nesting
 * are errors, names are defined and never assigned, and only registered classes are made.
 * @throws SerializationError, or what a constructor or codec throws when given nonsense
 */
export function fromWire(wire: unknown, codecs: ClassCodecs | undefined): unknown {
  return new WireDecoder(codecs).decode(wire, 0);
}

class WireDecoder {
  constructor(readonly codecs: ClassCodecs | undefined) {}

  decode(wire: unknown, depth: number): unknown {
    if (typeof wire !== 'object' || wire === null) return wire;
    if (depth > DEPTH_MAX) throw broken('it is nested too deep');
    if (Array.isArray(wire)) return this.#items(wire, depth + 1);
    const fields = wire as Record<string, unknown>;
    if (Object.hasOwn(fields, TAG)) return this.#revive(fields, depth + 1);
    for (const name of Object.keys(fields)) {
      const inner = fields[name];
      if (typeof inner === 'object' && inner !== null)
        Object.defineProperty(fields, name, { value: this.decode(inner, depth + 1) });
    }
    return fields;
  }

  /** In place: the parsed form belongs to nobody else. */
  #items(items: unknown[], depth: number): unknown[] {
    for (let at = 0; at < items.length; at++) {
      const inner = items[at];
      if (isHole(inner)) Reflect.deleteProperty(items, at);
      else if (typeof inner === 'object' && inner !== null) items[at] = this.decode(inner, depth);
    }
    return items;
  }

  #revive(form: Record<string, unknown>, depth: number): unknown {
    const content = Object.hasOwn(form, 'v') ? form['v'] : undefined;
    const name = Object.hasOwn(form, 'c') ? form['c'] : undefined;
    switch (form[TAG]) {
      case 'undefined':
        return undefined;
      case 'Map':
        return this.#map(this.#items(list(content), depth));
      case 'Set':
        return new Set(this.#items(list(content), depth));
      case 'object':
        return this.#fields({}, content, depth);
      case 'bare':
        return this.#fields(Object.create(null) as object, content, depth);
      case 'Error':
        return this.#error(form, text(name), depth);
      case 'class':
        return this.#instance(content, text(name), depth);
      case 'Date':
        return new Date(this.decode(content, depth) as number);
      default:
        return leaf(form[TAG], content, name);
    }
  }

  #map(parts: unknown[]): Map<unknown, unknown> {
    if (parts.length % 2 !== 0) throw broken('a Map has a key without a value');
    const map = new Map<unknown, unknown>();
    for (let at = 0; at < parts.length; at += 2) map.set(parts[at], parts[at + 1]);
    return map;
  }

  #fields(target: object, pairs: unknown, depth: number): object {
    const parts = list(pairs);
    if (parts.length % 2 !== 0) throw broken('a name has no field');
    for (let at = 0; at < parts.length; at += 2)
      Object.defineProperty(target, text(parts[at]), {
        value: this.decode(parts[at + 1], depth),
        writable: true,
        enumerable: true,
        configurable: true,
      });
    return target;
  }

  #error(form: Record<string, unknown>, className: string, depth: number): Error {
    if (!STANDARD_ERRORS.has(className)) throw broken('it holds an unknown kind of error');
    return errorFrom(className, {
      hidden: this.#fields({}, form['v'], depth),
      shown: this.#fields({}, form['own'], depth),
    });
  }

  #instance(content: unknown, className: string, depth: number): unknown {
    const codec = this.codecs?.byName(className);
    if (codec) return codec.decode(this.decode(content, depth));
    const name = JSON.stringify(className.slice(0, 80));
    throw new SerializationError(
      `The stored value holds an instance of ${name}, a class that is not known here. Name it with type: () => TheClass, or register its codec.`,
    );
  }
}

/** What holds no other values. */
function leaf(tag: unknown, content: unknown, name: unknown): unknown {
  switch (tag) {
    case 'number':
      return number(content);
    case 'bigint':
      return bigint(text(content));
    case 'RegExp': {
      const [source, flags] = list(content);
      return new RegExp(text(source), text(flags));
    }
    case 'URL':
      return new URL(text(content));
    case 'URLSearchParams':
      return new URLSearchParams(text(content));
    case 'bytes':
      return bytes(text(content), text(name));
    default:
      throw broken('it has an unknown tag');
  }
}

function number(content: unknown): number {
  if (content === '-0' || content === 'NaN' || content === 'Infinity' || content === '-Infinity')
    return Number(content);
  throw broken('a number is misspelt');
}

function bigint(content: string): bigint {
  if (!/^-?\d+$/.test(content)) throw broken('a bigint is misspelt');
  return BigInt(content);
}

function bytes(content: string, name: string): unknown {
  const memory = fromBase64(content)?.buffer;
  if (!memory) throw broken('it holds bytes that are no Base64');
  if (name === 'ArrayBuffer') return memory;
  if (name === 'Buffer' || isViewName(name)) return viewOf(name, memory);
  throw broken('it holds bytes of an unknown kind');
}

function isHole(wire: unknown): boolean {
  return (
    typeof wire === 'object' &&
    wire !== null &&
    Object.hasOwn(wire, TAG) &&
    (wire as Record<string, unknown>)[TAG] === 'hole'
  );
}

function list(content: unknown): unknown[] {
  if (!Array.isArray(content)) throw broken('a list is missing');
  return content as unknown[];
}

function text(content: unknown): string {
  if (typeof content !== 'string') throw broken('a text is missing');
  return content;
}

function broken(why: string): SerializationError {
  return new SerializationError(`The stored bytes are no value: ${why}.`);
}
