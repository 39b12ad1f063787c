import type { Awaitable } from './storage.js';

/** Whether an object has no class of its own. By shape: objects of another realm have a prototype that is none of ours. */
export function isClassless(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Whether a storage answered with a promise. By shape: promises may come from another realm. */
export function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
