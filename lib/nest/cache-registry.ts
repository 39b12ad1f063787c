import type { CacheOptions } from '../core/cache-options.js';
import { InvalidOptionsError } from '../core/errors.js';
import { sleep } from '../core/clock.js';
import type { ScopeContext } from '../core/scope.js';
import type { CacheStorage, Platform } from '../core/storage.js';
import { CacheService } from './cache.service.js';
import { FaultLog } from './fault-log.js';

/** The caches of one application: the main one and those that `forFeature` named. */
export class CacheRegistry {
  readonly #caches = new Map<string | undefined, CacheService>();
  readonly #options: CacheOptions;
  readonly #faultLog: FaultLog;
  #closing: Promise<readonly unknown[]> | undefined;

  /** @internal made by CacheModule */
  constructor(
    options: CacheOptions,
    readonly platform: Platform,
    readonly context: ScopeContext,
    readonly defaultStorage: () => CacheStorage,
  ) {
    this.#faultLog = new FaultLog(platform.clock);
    this.#options = {
      ...options,
      namespace: escaped(options.namespace === undefined ? 'cache' : options.namespace),
    };
    this.#caches.set(undefined, this.#open(this.#options, undefined));
  }

  /** The application's main cache. */
  get main(): CacheService {
    return this.get();
  }

  /** The names given to `forFeature`, in the order of their modules. A copy. */
  get names(): string[] {
    return [...this.#caches.keys()].filter((name) => name !== undefined);
  }

  /** Every cache, the main one first. A copy. */
  get all(): CacheService[] {
    return [...this.#caches.values()];
  }

  /**
   * The cache of that name, or the main one.
   * @throws InvalidOptionsError when no module registered the name
   */
  get(name?: string): CacheService {
    const cache = this.#caches.get(name);
    if (cache) return cache;
    const known = this.names.map((other) => `"${other}"`).join(', ') || 'none';
    throw new InvalidOptionsError(
      `There is no cache named "${name}" (known: ${known}). Import CacheModule.forFeature({ name: '${name}' }) into a module.`,
    );
  }

  /**
   * Makes a named cache: the main cache's options, `overrides` on top, and a namespace of its own.
   * @throws InvalidOptionsError when the name or the namespace is taken
   */
  create(name: string, overrides: CacheOptions): CacheService {
    if (this.#caches.has(name))
      throw new InvalidOptionsError(
        `forFeature: there are two caches named "${name}". Give each a name of its own; to share one, make it in one module and import that module.`,
      );
    const own = overrides.namespace;
    const namespace =
      own === undefined ? `${this.#options.namespace}/${escaped(name)}` : escaped(own);
    const taken = this.all.find((other) => other.namespace === namespace);
    if (taken)
      throw new InvalidOptionsError(
        `forFeature: the caches "${name}" and "${taken.name ?? 'main'}" both have the namespace "${namespace}", so on a shared storage each would read the other's entries. Leave "namespace" out, or make it unique.`,
      );
    const cache = this.#open({ ...this.#options, ...overrides, namespace }, name);
    this.#caches.set(name, cache);
    return cache;
  }

  /**
   * Waits until every cache's storage is usable, or known to be away.
   * @throws StorageUnavailableError when a storage was told to fail fast and is not there
   */
  async ready(): Promise<void> {
    await Promise.all(this.all.map((cache) => cache.ready()));
  }

  /**
   * Closes every cache, once. Waits at most `deadlineMs` for them; 0: not at all.
   * @returns what went wrong, one line for each; empty when all closed in time
   */
  async close(deadlineMs: number): Promise<readonly unknown[]> {
    this.#closing ??= this.#closeAll();
    if (deadlineMs === 0) return [];
    const { clock } = this.platform;
    const late = sleep(clock, deadlineMs).then(() => [
      new Error(`Not all caches closed within ${deadlineMs} ms.`),
    ]);
    return Promise.race([this.#closing, late]);
  }

  async #closeAll(): Promise<readonly unknown[]> {
    const results = await Promise.allSettled(this.all.map((cache) => cache.close()));
    return results
      .filter((result) => result.status === 'rejected')
      .map((result) => result.reason as unknown);
  }

  #open(options: CacheOptions, name: string | undefined): CacheService {
    const { platform, context, defaultStorage } = this;
    const listener = this.#faultLog.behind(options.listener);
    return new CacheService({ ...options, listener }, platform, context, defaultStorage, name);
  }
}

/** So that the `/` of a derived namespace can come from nowhere else: `a/b` + `c` and `a` + `b/c` differ. */
function escaped(namespace: string): string {
  return typeof namespace === 'string'
    ? namespace.replace(/[%/]/g, (unit) => (unit === '%' ? '%25' : '%2F'))
    : namespace;
}
