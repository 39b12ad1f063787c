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
  if (typeof key !== 'string') return checkedLength(encodeReadable(key));
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
      `The key is longer than 64 kB: ${encoded.slice(0, 40)}… Use an id or a digest of it.`,
    );
  return encoded;
}

/** While a text grows: one object held in many places is written in each, and a key that is too long is refused anyway. */
function growing(text: string): string {
  return text.length > KEY_BYTES_MAX ? checkedLength(text) : text;
}

/** Getters and proxies may throw, and their error would look like one of the method or loader that the key is for. */
function encodeReadable(key: readonly unknown[]): string {
  try {
    return encodeParts(key);
  } catch (error) {
    if (error instanceof InvalidKeyError) throw error;
    throw new InvalidKeyError(
      'A part of the key threw when it was read. Use plain data in keys, for example an id. See the cause.',
      { cause: error },
    );
  }
}

function encodeParts(key: readonly unknown[]): string {
  if (!Array.isArray(key))
    throw new InvalidKeyError(`A key is a string or an array of parts, got ${describe(key)}.`);
  if (key.length === 0)
    throw new InvalidKeyError('The key is an empty array; a key has at least one part.');
  return encodeList(key, { part: key, step: 'key', above: undefined, depth: 0 });
}

/** The way down to a part: for messages, and to notice a cycle. A link for each object, so that plain parts cost nothing. */
interface Trail {
  readonly part: object;
  readonly step: Step;
  readonly above: Trail | undefined;
  readonly depth: number;
}
/** An index, a property's name, or nothing for what has neither. */
type Step = number | string | undefined;

function encodePart(part: unknown, step: Step, above: Trail): string {
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
      return part === null ? 'null' : encodeObject(part, step, above);
    default:
      throw unencodable(part, textOf(step, above));
  }
}

function encodeObject(part: object, step: Step, above: Trail): string {
  checkNesting(part, step, above);
  const inside: Trail = { part, step, above, depth: above.depth + 1 };
  if (Array.isArray(part)) return encodeList(part, inside);
  // By tag rather than instanceof: values may come from another realm (a vm context, a worker).
  switch (Object.prototype.toString.call(part)) {
    case '[object Object]':
      return encodePlain(part, inside);
    case '[object Date]':
      return `Date(${(part as Date).getTime()})`;
    case '[object RegExp]':
      return `RegExp(${JSON.stringify((part as RegExp).source)},${JSON.stringify((part as RegExp).flags)})`;
    case '[object URL]':
      return `URL(${JSON.stringify((part as URL).href)})`;
    case '[object Uint8Array]':
      return `Bytes(${JSON.stringify(toHex(part as Uint8Array))})`;
    case '[object Map]':
      return `Map(${sorted([...(part as Map<unknown, unknown>)].map((pair) => encodeList(pair, inside)))})`;
    case '[object Set]':
      return `Set(${sorted([...(part as Set<unknown>)].map((item) => encodePart(item, undefined, inside)))})`;
    default:
      throw unencodable(part, textOf(step, above));
  }
}

function checkNesting(part: object, step: Step, above: Trail): void {
  if (above.depth >= 100)
    throw new InvalidKeyError(`${textOf(step, above)} is nested more than 100 levels deep.`);
  for (let at: Trail | undefined = above; at; at = at.above)
    if (at.part === part)
      throw new InvalidKeyError(
        `${textOf(step, above)} contains itself; a key part cannot be circular.`,
      );
}

function encodeList(list: readonly unknown[], at: Trail): string {
  let text = '[';
  for (let index = 0; index < list.length; index++) {
    if (index > 0) text += ',';
    text = growing(text + encodePart(list[index], index, at));
  }
  return `${text}]`;
}

function encodePlain(part: object, at: Trail): string {
  if (
    !isClassless(part) ||
    (part as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] !== undefined
  )
    throw unencodable(part, textOf(at.step, at.above));
  let text = '{';
  for (const name of Object.keys(part).sort()) {
    if (text.length > 1) text += ',';
    text = growing(
      `${text}${JSON.stringify(name)}:${encodePart((part as Record<string, unknown>)[name], name, at)}`,
    );
  }
  return `${text}}`;
}

/** Whether an object has no class of its own. By shape: objects of another realm have a prototype that is none of ours. */
export function isClassless(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** As one would write it: `key[1].filter[0]`. */
function textOf(step: Step, above: Trail | undefined): string {
  if (!above) return String(step);
  const own = step === undefined ? '' : typeof step === 'number' ? `[${step}]` : `.${step}`;
  return textOf(above.step, above.above) + own;
}

function sorted(items: string[]): string {
  return growing(`[${items.sort().join(',')}]`);
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
