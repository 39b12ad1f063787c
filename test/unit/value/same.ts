import { isDeepStrictEqual } from 'node:util';
import { expect } from '@jest/globals';

/** The same value: kinds, prototypes, -0, holes and hidden parts of errors included. Jest's matchers overlook some. */
export function expectSame(actual: unknown, expected: unknown): void {
  const why = difference(actual, expected, '$');
  expect(why).toBeUndefined();
}

function difference(a: unknown, b: unknown, path: string): string | undefined {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null)
    return Object.is(a, b) ? undefined : `${path}: ${String(a)} is not ${String(b)}`;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return `${path}: other prototype`;
  if (a instanceof Map && b instanceof Map) return difference([...a], [...b], `${path}<map>`);
  if (a instanceof Set && b instanceof Set) return difference([...a], [...b], `${path}<set>`);
  if (a instanceof DataView && b instanceof DataView) return difference(a.buffer, b.buffer, path);
  if (a instanceof URL || a instanceof URLSearchParams || a instanceof RegExp || a instanceof Date)
    return difference(inText(a), inText(b), path);
  if (ArrayBuffer.isView(a) || a instanceof ArrayBuffer)
    return isDeepStrictEqual(a, b) ? undefined : `${path}: other bytes`;
  return differentParts(a, b, path);
}

function differentParts(a: object, b: object, path: string): string | undefined {
  const names = Object.getOwnPropertyNames(b).sort();
  const own = Object.getOwnPropertyNames(a).sort();
  if (own.join('\n') !== names.join('\n')) return `${path}: has ${own.join()}, not ${names.join()}`;
  for (const name of names) {
    const [x, y] = [a, b].map((it) => Object.getOwnPropertyDescriptor(it, name)!);
    if (x!.enumerable !== y!.enumerable) return `${path}.${name}: other visibility`;
    const found = difference(valueOf(a, name), valueOf(b, name), `${path}.${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function valueOf(of: object, name: string): unknown {
  return Reflect.get(of, name);
}

function inText(value: unknown): string {
  return value instanceof Date ? String(value.getTime()) : String(value);
}
