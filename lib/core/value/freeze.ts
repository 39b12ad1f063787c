import { kindOf } from './kinds.js';

/**
 * Freezes a stored value deeply, so that one snapshot can be handed to all; changing it throws TypeError. Maps, Sets and
 * Dates get throwing methods, since freezing does not reach what they hold.
 */
export function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  switch (kindOf(value)) {
    case 'bytes':
    case 'Buffer':
    case 'ArrayBuffer':
      return value;
    case 'Map':
      for (const [key, item] of value as Map<unknown, unknown>) {
        deepFreeze(key);
        deepFreeze(item);
      }
      return lock(value, ['set', 'delete', 'clear']);
    case 'Set':
      for (const item of value as Set<unknown>) deepFreeze(item);
      return lock(value, ['add', 'delete', 'clear']);
    case 'Date':
      return lock(
        value,
        Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set')),
      );
    case 'URL':
      return lock(value, []);
    default:
      for (const name of Object.keys(value)) deepFreeze((value as Record<string, unknown>)[name]);
      return Object.freeze(value);
  }
}

/** Whether a value holds bytes or URLs, which no freezing reaches. */
export function holdsUnfreezable(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  switch (kindOf(value)) {
    case 'bytes':
    case 'Buffer':
    case 'ArrayBuffer':
    case 'URL':
      return true;
    case 'Map':
      return [...(value as Map<unknown, unknown>)].some(
        ([key, item]) => holdsUnfreezable(key) || holdsUnfreezable(item),
      );
    case 'Set':
      return [...(value as Set<unknown>)].some(holdsUnfreezable);
    default:
      return Object.values(value).some(holdsUnfreezable);
  }
}

function lock(value: object, methods: readonly string[]): object {
  for (const method of methods)
    Object.defineProperty(value, method, {
      value: () => {
        throw new TypeError(
          `Cannot ${method}: this cached value is frozen (isolation: 'frozen'). Copy it first.`,
        );
      },
    });
  return Object.freeze(value);
}
