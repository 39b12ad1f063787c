import type { Awaitable, BasicStorage } from '../core/storage.js';

/**
 * The smallest storage there is, over a Map: a model for storages of one's own, and a stand-in for one in tests.
 * `answer` makes it asynchronous: `mapStorage({ answer: (value) => Promise.resolve(value) })`.
 */
export function mapStorage(
  options: {
    readonly entries?: Map<string, Uint8Array>;
    readonly answer?: <T>(value: T) => Awaitable<T>;
    /** `false`: it cannot list its keys. */
    readonly lists?: boolean;
  } = {},
): BasicStorage {
  const entries = options.entries ?? new Map<string, Uint8Array>();
  const answer = options.answer ?? (<T>(value: T): Awaitable<T> => value);
  const startingWith = (prefix: string): string[] =>
    [...entries.keys()].filter((key) => key.startsWith(prefix));
  const storage: BasicStorage = {
    name: 'map',
    get: (key) => answer(entries.get(key)),
    set: (key, bytes) => answer(void entries.set(key, bytes)),
    delete: (key) => answer(void entries.delete(key)),
    clear: (prefix) => answer(startingWith(prefix).forEach((key) => entries.delete(key))),
  };
  return options.lists === false ? storage : { ...storage, keys: startingWith };
}
