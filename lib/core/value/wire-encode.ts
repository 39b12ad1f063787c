import { bytesOf, toBase64 } from './bytes.js';
import { assertNothingBeside, assertNothingHidden, assertOnlyItems } from './checked.js';
import type { ClassCodecs } from './class-codecs.js';
import { BUILT_IN_LEVELS, DEPTH_MAX } from './copy.js';
import { errorParts } from './error-parts.js';
import { errorName, kindOf, viewName, type Kind } from './kinds.js';
import { fieldStep, refusedUnder, tooDeep, unstorable } from './refusal.js';
import { Repeats, WATCHED_AFTER } from './repeats.js';
import { tagged, TAG } from './wire.js';

/**
 * The value in a form that JSON can say. Returns the very same object where nothing in it needs a tag, so plain data is
 * walked but not copied. Refuses what `copyIn` refuses; a circle counts as too deep.
 * @throws Refusal, or what a getter or codec throws
 */
export function toWire(value: unknown, codecs: ClassCodecs | undefined): unknown {
  return new WireEncoder(codecs).encode(value, 0);
}

class WireEncoder {
  #walked = 0;
  #repeats: Repeats | undefined;

  constructor(readonly codecs: ClassCodecs | undefined) {}

  encode(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value;
      case 'number':
        if (Number.isFinite(value) && !Object.is(value, -0)) return value;
        return tagged('number', Object.is(value, -0) ? '-0' : String(value));
      case 'undefined':
        return tagged('undefined');
      case 'bigint':
        return tagged('bigint', String(value));
      case 'object':
        if (value === null) return null;
        if (++this.#walked > WATCHED_AFTER) (this.#repeats ??= new Repeats()).watch(value);
        return this.#object(value, depth);
      default:
        throw unstorable(value);
    }
  }

  #object(value: object, depth: number): unknown {
    if (depth >= DEPTH_MAX) throw tooDeep(DEPTH_MAX);
    const codec = this.codecs?.ofInstance(value);
    if (codec) return tagged('class', this.#encoded(codec.encode(value), depth + 1), codec.name);
    const kind = kindOf(value);
    if (kind === 'array') return this.#array(value as unknown[], depth + 1);
    if (kind === 'plain') return this.#plain(value as Record<string, unknown>, depth + 1);
    if (kind === 'other') throw unstorable(value);
    assertNothingBeside(value, kind);
    return this.#builtIn(value, kind, depth + BUILT_IN_LEVELS);
  }

  /** New each time, so it says nothing about what is repeated. */
  #encoded(form: unknown, depth: number): unknown {
    if (typeof form === 'object' && form !== null) return this.#object(form, depth);
    return this.encode(form, depth);
  }

  #builtIn(value: object, kind: Kind, depth: number): unknown {
    switch (kind) {
      case 'Date':
        return tagged('Date', this.encode((value as Date).getTime(), depth));
      case 'RegExp':
        return tagged('RegExp', [(value as RegExp).source, (value as RegExp).flags]);
      case 'URL':
        return tagged('URL', (value as URL).href);
      case 'URLSearchParams':
        return tagged('URLSearchParams', (value as URLSearchParams).toString());
      case 'Map':
        return tagged('Map', this.#items([...(value as Map<unknown, unknown>)].flat(), depth));
      case 'Set':
        return tagged('Set', this.#items([...(value as Set<unknown>)], depth));
      case 'Error': {
        const { hidden, shown } = errorParts(value);
        const form = tagged('Error', this.#pairs(hidden, depth), errorName(value));
        return { ...form, own: this.#pairs(shown, depth) };
      }
      case 'ArrayBuffer':
        return tagged('bytes', toBase64(new Uint8Array(value as ArrayBuffer)), kind);
      default: {
        const view = value as ArrayBufferView;
        return tagged('bytes', toBase64(bytesOf(view)), kind === 'Buffer' ? kind : viewName(view));
      }
    }
  }

  #array(value: unknown[], depth: number): unknown {
    assertOnlyItems(value);
    return this.#items(value, depth);
  }

  /** The same array when none of its items needs a tag. */
  #items(value: unknown[], depth: number): unknown[] {
    let changed: unknown[] | undefined;
    let at = 0;
    try {
      for (; at < value.length; at++) {
        const item = value[at];
        const wire = item === undefined && !(at in value) ? HOLE : this.encode(item, depth);
        if (wire !== item) (changed ??= value.slice())[at] = wire;
      }
    } catch (thrown) {
      throw refusedUnder(thrown, `[${at}]`);
    }
    return changed ?? value;
  }

  #plain(fields: Record<string, unknown>, depth: number): unknown {
    const names = Object.keys(fields);
    assertNothingHidden(fields, names.length);
    const isBare = Object.getPrototypeOf(fields) === null;
    if (isBare || Object.hasOwn(fields, TAG))
      return tagged(isBare ? 'bare' : 'object', this.#pairs(fields, depth));
    let changed: object | undefined;
    let name = '';
    try {
      for (name of names) {
        const field = fields[name];
        const value = this.encode(field, depth);
        if (value !== field) Object.defineProperty((changed ??= { ...fields }), name, { value });
      }
    } catch (thrown) {
      throw refusedUnder(thrown, fieldStep(name));
    }
    return changed ?? fields;
  }

  /** Names and fields in turn: for objects that look like a tag, that have no prototype, or whose names matter. */
  #pairs(fields: object, depth: number): unknown[] {
    return Object.entries(fields).flatMap(([name, field]) => {
      try {
        return [name, this.encode(field, depth)];
      } catch (thrown) {
        throw refusedUnder(thrown, fieldStep(name));
      }
    });
  }
}

const HOLE = tagged('hole');
