import { kindOf } from './kinds.js';

/** What V8 spends beside the data itself, roughly: an object's header and elements pointer, a slot, a boxed number. */
const OBJECT_BYTES = 32;
const SLOT_BYTES = 8;
const PRIMITIVE_BYTES = 8;
const STRING_BYTES = 16;

/**
 * An estimate of the bytes that a stored value holds. Two bytes for each character: an upper bound, since V8 keeps Latin
 * text in one. Iterative, so that depth does not matter.
 */
export function sizeOf(value: unknown): number {
  let bytes = 0;
  const left: unknown[] = [value];
  while (left.length > 0) {
    const item = left.pop();
    if (typeof item === 'string') bytes += STRING_BYTES + item.length * 2;
    else if (typeof item === 'object' && item !== null)
      bytes += OBJECT_BYTES + sizeOfObject(item, left);
    else bytes += PRIMITIVE_BYTES;
  }
  return bytes;
}

/** The object's own share; what it holds is put on `left`. */
function sizeOfObject(value: object, left: unknown[]): number {
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) left.push(item);
    return value.length * SLOT_BYTES;
  }
  switch (kindOf(value)) {
    case 'ArrayBuffer':
      return (value as ArrayBuffer).byteLength;
    case 'Map':
      for (const [key, item] of value as Map<unknown, unknown>) left.push(key, item);
      return (value as Map<unknown, unknown>).size * SLOT_BYTES * 4;
    case 'Set':
      for (const item of value as Set<unknown>) left.push(item);
      return (value as Set<unknown>).size * SLOT_BYTES * 3;
    case 'URL':
      return (value as URL).href.length * 4;
    case 'Error':
      left.push((value as Error).stack, (value as Error).message, (value as Error).cause);
      break;
    default:
  }
  let slots = 0;
  for (const name in value) {
    left.push((value as Record<string, unknown>)[name]);
    slots++;
  }
  return slots * SLOT_BYTES * 2;
}
