import { describe, SerializationError } from '../errors.js';
import type { ClassCodecs } from './class-codecs.js';
import { DEPTH_MAX } from './copy.js';
import { constructorName, kindOf } from './kinds.js';

/** The field that marks a tagged form: `{ "$nsc": "Date", "v": 0 }`. Objects that have such a field themselves are escaped. */
export const TAG = '$nsc';

/**
 * The value in a form that JSON can say. Returns the very same object where nothing in it needs a tag, so plain data is
 * walked but not copied.
 * @throws SerializationError
 */
export function toWire(value: unknown, codecs: ClassCodecs | undefined): unknown {
  return new WireEncoder(codecs).encode(value, 0);
}

function tagged(tag: string, v?: unknown): object {
  return v === undefined ? { [TAG]: tag } : { [TAG]: tag, v };
}

class WireEncoder {
  constructor(readonly codecs: ClassCodecs | undefined) {}

  encode(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value;
      case 'number':
        return Number.isFinite(value) && !Object.is(value, -0)
          ? value
          : tagged('number', Object.is(value, -0) ? '-0' : String(value));
      case 'undefined':
        return tagged('undefined');
      case 'bigint':
        return tagged('bigint', String(value));
      case 'object':
        return value === null ? null : this.#object(value, depth + 1);
      default:
        throw refused(value);
    }
  }

  #object(value: object, depth: number): unknown {
    if (depth > DEPTH_MAX)
      throw new SerializationError(
        `The value is nested more than ${DEPTH_MAX} levels deep, or contains itself.`,
      );
    const codec = this.codecs?.ofInstance(value);
    if (codec)
      return { ...tagged('class', this.encode(codec.encode(value), depth)), c: codec.name };
    const kind = kindOf(value);
    switch (kind) {
      case 'array':
        return this.#array(value as unknown[], depth);
      case 'plain':
        return this.#plain(value, depth);
      case 'Date':
        return tagged('Date', this.encode((value as Date).getTime(), depth));
      case 'RegExp':
        return tagged('RegExp', [(value as RegExp).source, (value as RegExp).flags]);
      case 'URL':
        return tagged('URL', (value as URL).href);
      case 'Map':
        return tagged(
          'Map',
          [...(value as Map<unknown, unknown>)].map(([key, item]) => [
            this.encode(key, depth),
            this.encode(item, depth),
          ]),
        );
      case 'Set':
        return tagged(
          'Set',
          [...(value as Set<unknown>)].map((item) => this.encode(item, depth)),
        );
      case 'Error':
        return this.#error(value as Error, depth);
      case 'ArrayBuffer':
        return {
          ...tagged('bytes', toBase64(new Uint8Array(value as ArrayBuffer))),
          c: 'ArrayBuffer',
        };
      case 'Buffer':
      case 'bytes':
        return {
          ...tagged('bytes', toBase64(bytesOf(value as ArrayBufferView))),
          c: constructorName(value),
        };
      case 'other':
        throw refused(value);
    }
  }

  #array(value: unknown[], depth: number): unknown {
    let changed: unknown[] | undefined;
    for (let at = 0; at < value.length; at++) {
      const wire = at in value ? this.encode(value[at], depth) : tagged('hole');
      if (wire !== value[at]) (changed ??= value.slice())[at] = wire;
    }
    return changed ?? value;
  }

  #plain(value: object, depth: number): unknown {
    const fields = value as Record<string, unknown>;
    const isBare = Object.getPrototypeOf(value) === null;
    if (Object.hasOwn(fields, TAG) || typeof fields['toJSON'] === 'function' || isBare)
      return this.#escaped(fields, isBare, depth);
    let changed: Record<string, unknown> | undefined;
    for (const name of Object.keys(fields)) {
      const wire = this.encode(fields[name], depth);
      if (wire !== fields[name]) {
        changed ??= { ...fields };
        Object.defineProperty(changed, name, {
          value: wire,
          enumerable: true,
          configurable: true,
          writable: true,
        });
      }
    }
    return changed ?? value;
  }

  /** As pairs: for objects that look like a tag, and for those without a prototype. */
  #escaped(fields: Record<string, unknown>, isBare: boolean, depth: number): object {
    return tagged(
      isBare ? 'bare' : 'object',
      Object.keys(fields).map((name) => [name, this.encode(fields[name], depth)]),
    );
  }

  #error(error: Error, depth: number): object {
    const hidden = ['name', 'message', 'stack', 'cause', 'errors'].filter((name) =>
      Object.hasOwn(error, name),
    );
    const own = Object.keys(error).filter((name) => !hidden.includes(name));
    const pairs = (names: string[]): unknown[] =>
      names.map((name) => [
        name,
        this.encode((error as unknown as Record<string, unknown>)[name], depth),
      ]);
    return { ...tagged('Error', [pairs(hidden), pairs(own)]), c: constructorName(error) };
  }
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** Base64 without a platform: `btoa` over Latin-1 text, in parts that fit an argument list. */
function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000)
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

function refused(value: unknown): SerializationError {
  return new SerializationError(
    `The value holds ${describe(value)}, which cannot be stored. Name its class with type: () => TheClass, register a codec, or store plain data.`,
  );
}
