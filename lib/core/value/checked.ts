import type { Kind } from './kinds.js';
import { fieldStep, hiddenPart, Refusal, refusedUnder } from './refusal.js';

/** Copies a value at this depth, or refuses it. */
export type CheckedCopy = (value: unknown, depth: number) => unknown;

/** Arrays with holes are stored as they are up to this length, so that one item at 4,000,000,000 costs no time. */
const SPARSE_LENGTH_MAX = 100_000;

/** A copy of a plain object's fields, into `target`'s kind of object, once it is known to have nothing else. */
export function copyPlain(
  value: object,
  target: object,
  depth: number,
  copy: CheckedCopy,
): Record<string, unknown> {
  let name = '';
  let fields = 0;
  try {
    const copied = spread(value, target);
    for (name in copied) {
      fields++;
      const field = copied[name];
      if (needsVisit(field) && Object.hasOwn(copied, name)) copied[name] = copy(field, depth);
    }
    name = '';
    assertNothingHidden(value, fields);
    return copied;
  } catch (thrown) {
    throw refusedUnder(thrown, name === '' ? '' : fieldStep(name));
  }
}

/** A copy of an array, holes included, once it is known to have nothing but items. */
export function copyArray(value: unknown[], depth: number, copy: CheckedCopy): unknown[] {
  assertOnlyItems(value);
  const copied: unknown[] = Array.prototype.slice.call(value);
  let at = 0;
  try {
    for (; at < copied.length; at++) {
      const item = copied[at];
      if (needsVisit(item)) copied[at] = copy(item, depth);
    }
    return copied;
  } catch (thrown) {
    throw refusedUnder(thrown, `[${at}]`);
  }
}

/**
 * @param fields how many properties a listing of the object gave
 * @throws Refusal when the object has symbol keys or properties that listings leave out
 */
export function assertNothingHidden(value: object, fields: number): void {
  const symbols = Object.getOwnPropertySymbols(value);
  if (symbols.length > 0) throw hiddenPart(`the symbol key ${String(symbols[0])}`);
  const names = Object.getOwnPropertyNames(value);
  if (names.length === fields) return;
  const hidden = names.find((name) => !Object.prototype.propertyIsEnumerable.call(value, name));
  // None when the listing gave more: something that somebody added to Object.prototype.
  if (hidden !== undefined)
    throw hiddenPart(`the hidden property ${fieldStep(hidden).replace(/^\./, '')}`);
}

/** @throws Refusal when the array has anything beside its items, or holes over a huge length */
export function assertOnlyItems(value: unknown[]): void {
  const symbols = Object.getOwnPropertySymbols(value);
  if (symbols.length > 0) throw hiddenPart(`the symbol key ${String(symbols[0])}`);
  const names = Object.keys(value);
  const last = names.at(-1);
  // Indices are listed before names, in order.
  if (last !== undefined && String(Number(last) >>> 0) !== last)
    throw hiddenPart(`the property ${fieldStep(last).replace(/^\./, '')} beside its items`);
  if (names.length < value.length && value.length > SPARSE_LENGTH_MAX)
    throw new Refusal(
      `is an array of ${value.length} with holes`,
      `Fill the holes, or store a Map. Up to ${SPARSE_LENGTH_MAX} items holes are kept.`,
    );
}

/** @throws Refusal when a Map, Date and so on has fields of its own. Errors keep theirs; those of views are not looked for. */
export function assertNothingBeside(value: object, kind: Kind): void {
  if (kind === 'Buffer' || kind === 'view') return;
  const isSeen = (part: PropertyKey): boolean =>
    Object.prototype.propertyIsEnumerable.call(value, part);
  const symbol = Object.getOwnPropertySymbols(value).find(isSeen);
  if (symbol !== undefined) throw hiddenPart(`the symbol key ${String(symbol)}`);
  const name = kind === 'Error' ? undefined : Object.keys(value)[0];
  if (name !== undefined)
    throw hiddenPart(`the property ${fieldStep(name).replace(/^\./, '')} beside its content`);
}

function spread(value: object, target: object): Record<string, unknown> {
  if (Object.getPrototypeOf(target) !== null) return { ...value };
  return Object.defineProperties(target, Object.getOwnPropertyDescriptors({ ...value })) as Record<
    string,
    unknown
  >;
}

function needsVisit(value: unknown): boolean {
  switch (typeof value) {
    case 'object':
      return value !== null;
    case 'function':
    case 'symbol':
      return true;
    default:
      return false;
  }
}
