import { copyView, ownBytes } from './bytes.js';
import { errorFrom, errorParts } from './error-parts.js';
import { errorName, type Kind } from './kinds.js';
import { fieldStep, Refusal } from './refusal.js';

/** Copies what a value holds; `step` leads to it. */
export type CopyPart = (part: unknown, step: string) => unknown;

/** A copy of anything but an array or an ordinary object. */
export function copyBuiltIn(value: object, kind: Kind, copyPart: CopyPart): unknown {
  switch (kind) {
    case 'Date':
      return new Date((value as Date).getTime());
    case 'Map':
      return copyMap(value as Map<unknown, unknown>, copyPart);
    case 'Set':
      return copySet(value as Set<unknown>, copyPart);
    case 'RegExp':
      return new RegExp((value as RegExp).source, (value as RegExp).flags);
    case 'URL':
      return new URL((value as URL).href);
    case 'URLSearchParams':
      return new URLSearchParams(value as URLSearchParams);
    case 'Error':
      return copyError(value, copyPart);
    case 'ArrayBuffer':
      return copyMemory(value as ArrayBuffer);
    case 'Buffer':
    case 'view':
      return copyView(value as ArrayBufferView, kind === 'Buffer');
    case 'array':
      return (value as unknown[]).map((item, at) => copyPart(item, `[${at}]`));
    case 'plain':
      return copyFields(value, Object.getPrototypeOf(value) === null, copyPart);
    case 'other':
      return value;
  }
}

function copyMap(map: Map<unknown, unknown>, copyPart: CopyPart): Map<unknown, unknown> {
  const copy = new Map<unknown, unknown>();
  for (const [key, item] of map)
    copy.set(
      isPrimitive(key) ? key : copyPart(key, `.<key ${copy.size}>`),
      isPrimitive(item) ? item : copyPart(item, `.get(${keyInWords(key, copy.size)})`),
    );
  return copy;
}

function copySet(set: Set<unknown>, copyPart: CopyPart): Set<unknown> {
  const copy = new Set<unknown>();
  for (const item of set)
    copy.add(isPrimitive(item) ? item : copyPart(item, `.<item ${copy.size}>`));
  return copy;
}

function copyError(error: object, copyPart: CopyPart): Error {
  const { hidden, shown } = errorParts(error);
  return errorFrom(errorName(error)!, {
    hidden: copyFields(hidden, false, copyPart),
    shown: copyFields(shown, false, copyPart),
  });
}

/** Defines rather than assigns: `__proto__` stays an ordinary field. */
function copyFields(from: object, isBare: boolean, copyPart: CopyPart): object {
  const copy = (isBare ? Object.create(null) : {}) as object;
  for (const [name, field] of Object.entries(from))
    Object.defineProperty(copy, name, {
      value: copyPart(field, fieldStep(name)),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  return copy;
}

function copyMemory(memory: ArrayBuffer): ArrayBuffer {
  if ((memory as { resizable?: boolean }).resizable)
    throw new Refusal('is a resizable ArrayBuffer', 'Store a copy of fixed size: slice(0).');
  return ownBytes(new Uint8Array(memory)).buffer;
}

function isPrimitive(value: unknown): boolean {
  switch (typeof value) {
    case 'object':
      return value === null;
    case 'function':
    case 'symbol':
      return false;
    default:
      return true;
  }
}

function keyInWords(key: unknown, at: number): string {
  return typeof key === 'string' && key.length <= 40 ? JSON.stringify(key) : `<key ${at}>`;
}
