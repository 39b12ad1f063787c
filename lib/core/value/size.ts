import { kindOf } from './kinds.js';

/** What V8 spends beside the data itself, roughly: an object's header, a slot for a pointer, a string's header. */
const OBJECT_BYTES = 32;
const SLOT_BYTES = 8;
const PRIMITIVE_BYTES = 8;
const STRING_BYTES = 16;

/** After so many objects the rest counts for nothing: with `isolation: 'none'` a value may lead to the whole program. */
const OBJECTS_MAX = 1_000_000;

/**
 * An estimate of the bytes that a value holds. Deterministic, and an upper bound for strings: two bytes for each
 * character, though V8 keeps Latin text in one. An object in two places counts once, so circles end. Iterative, so that
 * depth does not matter. Never throws.
 */
export function sizeOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return primitiveSize(value);
  const seen = new Set<object>([value]);
  let bytes = 0;
  const weigh = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) bytes += primitiveSize(part);
    else if (seen.size < OBJECTS_MAX) seen.add(part);
  };
  // A Set goes on to what is added to it on the way.
  for (const object of seen) {
    bytes += OBJECT_BYTES;
    try {
      const own = ownSize(object, weigh);
      bytes += own;
    } catch {
      // A getter or proxy that throws cannot be weighed; it is not ours to report either.
    }
  }
  return bytes;
}

function primitiveSize(value: unknown): number {
  if (typeof value === 'string') return STRING_BYTES + value.length * 2;
  if (typeof value === 'bigint') return PRIMITIVE_BYTES + value.toString(16).length / 2;
  return PRIMITIVE_BYTES;
}

/** The object's own share; what it holds is weighed. */
function ownSize(value: object, weigh: (part: unknown) => void): number {
  if (ArrayBuffer.isView(value)) return value.byteLength;
  switch (kindOf(value)) {
    case 'ArrayBuffer':
      return (value as ArrayBuffer).byteLength;
    case 'Map':
      for (const [key, item] of value as Map<unknown, unknown>) {
        weigh(key);
        weigh(item);
      }
      return (value as Map<unknown, unknown>).size * SLOT_BYTES * 4;
    case 'Set':
      for (const item of value as Set<unknown>) weigh(item);
      return (value as Set<unknown>).size * SLOT_BYTES * 3;
    case 'URL':
      return (value as URL).href.length * 4;
    case 'URLSearchParams':
      return (value as URLSearchParams).toString().length * 4;
    case 'RegExp':
      return (value as RegExp).source.length * 4;
    case 'Error':
      return fieldsSize(value, Object.getOwnPropertyNames(value), weigh);
    default:
      return fieldsSize(value, Object.keys(value), weigh);
  }
}

/** Of objects and arrays alike: only fields and items that exist, so that holes cost no time. */
function fieldsSize(
  value: object,
  names: readonly string[],
  weigh: (part: unknown) => void,
): number {
  for (const name of names) weigh((value as Record<string, unknown>)[name]);
  return names.length * SLOT_BYTES * (Array.isArray(value) ? 1 : 2);
}
