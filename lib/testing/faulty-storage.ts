import type { Clock } from '../core/clock.js';
import {
  isDriver,
  type Awaitable,
  type BasicStorage,
  type CacheStorage,
  type StorageDriver,
} from '../core/storage.js';
import { deferred, type Deferred } from './deferred.js';

/**
 * A storage that fails when told to, around one that works:
 *
 * ```ts
 * const storage = new FaultyStorage(memoryStorage());
 * const cache = createTestCache({ storage: storage.wrapped });
 * storage.failNext(3);
 * ```
 */
export class FaultyStorage {
  /** What to give a cache as its `storage`. */
  readonly wrapped: CacheStorage;
  /** Names of the calls that came, in order; those that failed or hang too. */
  readonly calls: string[] = [];
  #failures = 0;
  #error: unknown;
  #delayMs = 0;
  #hanging: Deferred<void> | undefined;
  #only: ((call: string) => boolean) | undefined;

  /** @param clock for {@link delay} */
  constructor(
    inner: CacheStorage,
    readonly clock?: Clock,
  ) {
    this.wrapped = isDriver(inner) ? this.#driver(inner) : this.#basic(inner);
  }

  /** The next `count` calls fail (`Infinity`: all, until {@link recover}). */
  failNext(count = 1, error: unknown = new Error('The test made this storage fail.')): this {
    this.#failures = count;
    this.#error = error;
    return this;
  }

  /** Every call takes this long on the clock. */
  delay(ms: number): this {
    this.#delayMs = ms;
    return this;
  }

  /** Calls neither answer nor fail until {@link recover}; then they go through. */
  hang(): this {
    this.#hanging ??= deferred();
    return this;
  }

  /** Faults concern only calls with these names (`'get'`, `'read'`, …). Without arguments: all. */
  only(...calls: string[]): this {
    this.#only = calls.length === 0 ? undefined : (call) => calls.includes(call);
    return this;
  }

  /** Works again, at once. */
  recover(): this {
    this.#failures = this.#delayMs = 0;
    this.#only = undefined;
    this.#hanging?.resolve();
    this.#hanging = undefined;
    return this;
  }

  #call<T>(name: string, work: () => Awaitable<T>): Awaitable<T> {
    this.calls.push(name);
    if (this.#only && !this.#only(name)) return work();
    if (this.#failures > 0) {
      this.#failures--;
      return Promise.reject(this.#error as Error);
    }
    if (this.#hanging) return this.#hanging.promise.then(work);
    return this.#delayMs > 0 ? this.#later(work) : work();
  }

  async #later<T>(work: () => Awaitable<T>): Promise<T> {
    if (!this.clock) throw new Error('FaultyStorage: delay needs the clock of the test.');
    const { promise, resolve } = deferred();
    this.clock.after(this.#delayMs, resolve);
    await promise;
    return work();
  }

  #basic(inner: BasicStorage): BasicStorage {
    const wrapped: BasicStorage = {
      name: inner.name,
      get: (key) => this.#call('get', () => inner.get(key)),
      set: (key, bytes, ttlMs) => this.#call('set', () => inner.set(key, bytes, ttlMs)),
      delete: (key) => this.#call('delete', () => inner.delete(key)),
      clear: (prefix) => this.#call('clear', () => inner.clear(prefix)),
      close: () => inner.close?.(),
    };
    return inner.keys ? { ...wrapped, keys: (prefix) => inner.keys!(prefix) } : wrapped;
  }

  #driver(inner: StorageDriver): StorageDriver {
    return {
      name: inner.name,
      ...(inner.bus && { bus: inner.bus }),
      open: (host) => this.#guard(inner.open(host)),
    };
  }

  /** Not local any more, so that the cache puts its deadlines, breaker and journal around it. */
  #guard<T extends object>(target: T): T {
    const passed = new Set(['close', 'figures', 'list', 'release']);
    return new Proxy(target, {
      get: (_, name) => {
        if (name === 'isLocal') return false;
        const member: unknown = Reflect.get(target, name, target);
        if (name === 'leases' && member) return this.#guard(member);
        if (typeof member !== 'function') return member;
        const method = member.bind(target) as (...args: unknown[]) => Awaitable<unknown>;
        if (typeof name !== 'string' || passed.has(name)) return method;
        return (...args: unknown[]) => this.#call(name, () => method(...args));
      },
    });
  }
}
