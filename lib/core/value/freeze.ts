import type { ClassCodecs } from './class-codecs.js';
import { kindOf } from './kinds.js';

/**
 * Freezes a stored value deeply, so that one snapshot can be handed to all; changing it throws TypeError. Maps, Sets and
 * Dates get throwing methods, since freezing does not reach what they hold.
 *
 * Some things nothing can freeze: bytes, URLs, regular expressions (matching with `g` writes to them) and instances of
 * classes with a codec of their own, which may keep state out of reach or share objects that are not ours to freeze.
 * @returns whether all of the value is frozen, and so may be shared
 */
export function deepFreeze(value: unknown, codecs: ClassCodecs): boolean {
  if (typeof value !== 'object' || value === null) return true;
  const codec = codecs.ofInstance(value);
  if (codec) return codecs.areFieldsOnly(codec) && freezeFields(value, codecs);
  switch (kindOf(value)) {
    case 'array':
    case 'plain':
    case 'Error':
      return freezeFields(value, codecs);
    case 'Map':
      lock(value, MAP_LOCKS);
      return all([...(value as Map<unknown, unknown>)].flat(), codecs);
    case 'Set':
      lock(value, SET_LOCKS);
      return all([...(value as Set<unknown>)], codecs);
    case 'Date':
      lock(value, DATE_LOCKS);
      return true;
    default:
      return false;
  }
}

/** Hidden ones too: errors hide their cause. */
function freezeFields(value: object, codecs: ClassCodecs): boolean {
  Object.freeze(value);
  if (Array.isArray(value)) return all(value, codecs);
  return all(
    Object.getOwnPropertyNames(value).map((name) => (value as Record<string, unknown>)[name]),
    codecs,
  );
}

/** Goes on after the first that cannot be frozen: the rest must be frozen all the same. */
function all(values: readonly unknown[], codecs: ClassCodecs): boolean {
  let areFrozen = true;
  for (const value of values) if (!deepFreeze(value, codecs)) areFrozen = false;
  return areFrozen;
}

function lock(value: object, locks: PropertyDescriptorMap): void {
  Object.freeze(Object.defineProperties(value, locks));
}

/** Hidden, so that a locked Map copies like any other. Made once: there may be many dates. */
function locksOn(methods: readonly string[]): PropertyDescriptorMap {
  const lockOn = (method: string): PropertyDescriptor => ({
    value: () => {
      throw new TypeError(
        `Cannot ${method}: this cached value is frozen (isolation: 'frozen'). Copy it first.`,
      );
    },
  });
  return Object.fromEntries(methods.map((method) => [method, lockOn(method)]));
}

const MAP_LOCKS = locksOn(['set', 'delete', 'clear']);
const SET_LOCKS = locksOn(['add', 'delete', 'clear']);
const DATE_LOCKS = locksOn(
  Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set')),
);
