import type { Awaitable } from './storage.js';

/** Whether a storage answered with a promise. By shape: promises may come from another realm. */
export function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
