import { describe, InvalidKeyError } from './errors.js';
import { byteLengthExceeds, KEY_BYTES_MAX } from './limits.js';

/**
 * A key: a string, or an array of parts. Parts are JSON-like and type-tagged: `['a', 1]` and `['a', '1']` differ,
 * the order of object keys does not matter. Dates, Maps, Sets, bigints, bytes, URLs and RegExps may be parts too.
 */
export type CacheKey = string | readonly unknown[];

const BRACKET = 0x5b;
const BACKSLASH = 0x5c;

/**
 * A key as one string; two keys get the same one exactly when they are the same key (P4). Stable across processes
 * and Node versions. A string stays as it is, so that a hit pays nothing, unless it starts with `[` or `\`.
 * @throws InvalidKeyError for an empty key, one over 64 kB, or one with a part that has no stable text
 */
export function encodeKey(key: CacheKey): string {
  if (typeof key !== 'string') return checkedLength(encodeParts(key));
  const first = key.charCodeAt(0);
  // NaN for the empty string, which has no first unit.
  if (first !== first)
    throw new InvalidKeyError('The key is the empty string; a key has at least one character.');
  if (key.length * 3 > KEY_BYTES_MAX) checkedLength(key);
  return first === BRACKET || first === BACKSLASH ? `\\${key}` : key;
}

/** The key that `encodeKey` made this from. Object, Map and Set parts come back in their canonical order. */
export function decodeKey(encoded: string): CacheKey {
  const first = encoded.charCodeAt(0);
  if (first === BACKSLASH) return encoded.slice(1);
  return first === BRACKET ? new KeyReader(encoded).readAll() : encoded;
}

function checkedLength(encoded: string): string {
  if (byteLengthExceeds(encoded, KEY_BYTES_MAX))
    throw new InvalidKeyError(
      `The key is longer than 64 kB (${encoded.length} characters): ${encoded.slice(0, 40)}… Use an id or a digest of it.`,
    );
  return encoded;
}

function encodeParts(key: readonly unknown[]): string {
  if (!Array.isArray(key))
    throw new InvalidKeyError(`A key is a string or an array of parts, got ${describe(key)}.`);
  if (key.length === 0)
    throw new InvalidKeyError('The key is an empty array; a key has at least one part.');
  return encodeList(key, 'key', []);
}

/** `above` holds the objects being encoded, to notice a cycle. */
function encodePart(part: unknown, path: string, above: readonly object[]): string {
  switch (typeof part) {
    case 'string':
      return JSON.stringify(part);
    case 'number':
      return Object.is(part, -0) ? '-0' : String(part);
    case 'boolean':
    case 'undefined':
      return String(part);
    case 'bigint':
      return `${part}n`;
    case 'object':
      return part === null ? 'null' : encodeObject(part, path, above);
    default:
      throw unencodable(part, path);
  }
}

function encodeObject(part: object, path: string, above: readonly object[]): string {
  if (above.includes(part))
    throw new InvalidKeyError(`${path} contains itself; a key part cannot be circular.`);
  if (above.length >= 100)
    throw new InvalidKeyError(`${path} is nested more than 100 levels deep.`);
  const inside = [...above, part];
  if (Array.isArray(part)) return encodeList(part, path, inside);
  // By tag rather than instanceof: values may come from another realm (a vm context, a worker).
  switch (Object.prototype.toString.call(part)) {
    case '[object Date]':
      return `Date(${(part as Date).getTime()})`;
    case '[object RegExp]':
      return `RegExp(${JSON.stringify((part as RegExp).source)},${JSON.stringify((part as RegExp).flags)})`;
    case '[object URL]':
      return `URL(${JSON.stringify((part as URL).href)})`;
    case '[object Uint8Array]':
      return `Bytes(${JSON.stringify(toHex(part as Uint8Array))})`;
    case '[object Map]':
      return `Map(${sorted([...(part as Map<unknown, unknown>)].map((pair) => encodeList(pair, path, inside)))})`;
    case '[object Set]':
      return `Set(${sorted([...(part as Set<unknown>)].map((item) => encodePart(item, path, inside)))})`;
    default:
      return encodePlain(part, path, inside);
  }
}

function encodeList(list: readonly unknown[], path: string, above: readonly object[]): string {
  let text = '[';
  for (let at = 0; at < list.length; at++)
    text += (at === 0 ? '' : ',') + encodePart(list[at], `${path}[${at}]`, above);
  return `${text}]`;
}

function encodePlain(part: object, path: string, above: readonly object[]): string {
  const prototype: unknown = Object.getPrototypeOf(part);
  const plain = prototype === null || Object.getPrototypeOf(prototype) === null;
  if (!plain || (part as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] !== undefined)
    throw unencodable(part, path);
  const fields = Object.keys(part).sort();
  return `{${fields
    .map(
      (name) =>
        `${JSON.stringify(name)}:${encodePart((part as Record<string, unknown>)[name], `${path}.${name}`, above)}`,
    )
    .join(',')}}`;
}

function sorted(items: string[]): string {
  return `[${items.sort().join(',')}]`;
}

function toHex(bytes: Uint8Array): string {
  let hex = '';
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0');
  return hex;
}

function unencodable(part: unknown, path: string): InvalidKeyError {
  return new InvalidKeyError(
    `${path} is ${describe(part)}, which has no stable text. Use plain data in keys, for example its id.`,
  );
}

const NUMBER = /-?(?:Infinity|\d+(?:\.\d+)?(?:e[+-]?\d+)?)n?/y;
const STRING = /"(?:[^"\\]|\\.)*"/y;
const WORD = /[A-Za-z]+/y;

/** Reads back what `encodeParts` wrote. Only ever given our own output; anything else is an error, never code. */
class KeyReader {
  #at = 0;

  constructor(readonly text: string) {}

  readAll(): readonly unknown[] {
    const parts = this.#list();
    if (this.#at !== this.text.length) throw this.#broken();
    return parts;
  }

  #part(): unknown {
    const next = this.text[this.#at];
    if (next === '[') return this.#list();
    if (next === '{') return this.#object();
    if (next === '"') return JSON.parse(this.#match(STRING));
    const word = this.#tryMatch(WORD);
    return word !== undefined && word !== 'Infinity' ? this.#word(word) : this.#number(word);
  }

  #list(): unknown[] {
    this.#expect('[');
    const items: unknown[] = [];
    while (!this.#skip(']')) {
      if (items.length > 0) this.#expect(',');
      items.push(this.#part());
    }
    return items;
  }

  #object(): Record<string, unknown> {
    this.#expect('{');
    const fields: [string, unknown][] = [];
    while (!this.#skip('}')) {
      if (fields.length > 0) this.#expect(',');
      const name = JSON.parse(this.#match(STRING)) as string;
      this.#expect(':');
      fields.push([name, this.#part()]);
    }
    return Object.fromEntries(fields);
  }

  #number(word: string | undefined): unknown {
    if (word === 'Infinity') return Infinity;
    const text = this.#match(NUMBER);
    return text.endsWith('n') ? BigInt(text.slice(0, -1)) : Number(text);
  }

  #word(word: string): unknown {
    switch (word) {
      case 'null':
        return null;
      case 'undefined':
        return undefined;
      case 'true':
      case 'false':
        return word === 'true';
      case 'NaN':
        return NaN;
      default:
        return this.#tagged(word);
    }
  }

  #tagged(tag: string): unknown {
    this.#expect('(');
    const value = this.#part();
    const flags = this.#skip(',') ? (this.#part() as string) : '';
    this.#expect(')');
    switch (tag) {
      case 'Date':
        return new Date(value as number);
      case 'RegExp':
        return new RegExp(value as string, flags);
      case 'URL':
        return new URL(value as string);
      case 'Bytes':
        return Uint8Array.from((value as string).match(/../g) ?? [], (hex) => parseInt(hex, 16));
      case 'Map':
        return new Map(value as [unknown, unknown][]);
      case 'Set':
        return new Set(value as unknown[]);
      default:
        throw this.#broken();
    }
  }

  #expect(char: string): void {
    if (!this.#skip(char)) throw this.#broken();
  }

  #skip(char: string): boolean {
    if (this.text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): string {
    const text = this.#tryMatch(pattern);
    if (text === undefined) throw this.#broken();
    return text;
  }

  #tryMatch(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #broken(): InvalidKeyError {
    return new InvalidKeyError(
      `Not an encoded key: ${this.text.slice(0, 60)} (at character ${this.#at}).`,
    );
  }
}
