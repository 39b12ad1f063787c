import type { CacheOptions } from '../../core/cache-options.js';
import { Cache } from '../../core/cache.js';
import { systemClock, type Clock } from '../../core/clock.js';
import type { CacheStorage, Platform } from '../../core/storage.js';
import { ManualClock } from '../manual-clock.js';

/** How the bench of one clause is set up; see `StorageContractOptions`. */
export interface BenchOptions {
  makeStorage(): CacheStorage | Promise<CacheStorage>;
  readonly platform: Platform;
  readonly realTime?: boolean;
  wait?(ms: number): Promise<void>;
  readonly idleStepMs?: number;
  readonly delayMs?: number;
  afterClause?(storage: CacheStorage): void | Promise<void>;
}

/** The life that clauses give to entries that shall expire, in ms: short where waiting is real. */
const LIFE_MS = { manual: 10_000, real: 600 };

/** What one clause works with: a storage of its own, a namespace of its own, and a clock that it can move. */
export class StorageBench {
  readonly clock: Clock;
  /** A life short enough to outwait, in ms, and as a duration. */
  readonly lifeMs: number;
  readonly #namespace: string;
  readonly #caches: Cache[] = [];

  private constructor(
    readonly options: BenchOptions,
    readonly storage: CacheStorage,
  ) {
    this.clock = options.realTime === true ? systemClock : new ManualClock();
    this.lifeMs = options.realTime === true ? LIFE_MS.real : LIFE_MS.manual;
    this.#namespace = `contract-${options.platform.randomToken()}`;
  }

  /** Runs `body` with a bench, and closes what it opened however it ends. */
  static async with(
    options: BenchOptions,
    body: (bench: StorageBench) => Promise<void>,
  ): Promise<void> {
    const bench = new StorageBench(options, await options.makeStorage());
    try {
      await body(bench);
    } finally {
      for (const cache of bench.#caches) await cache.close();
      await options.afterClause?.(bench.storage);
    }
  }

  /** Seconds, for `ttl`. */
  get life(): number {
    return this.lifeMs / 1_000;
  }

  /** A cache over the bench's storage; further ones share its namespace unless they name another. */
  open(options: CacheOptions = {}): Cache {
    const cache = new Cache(
      { storage: this.storage, namespace: this.#namespace, onStorageError: 'throw', ...options },
      { ...this.options.platform, clock: this.clock },
      undefined,
      () => this.storage,
    );
    this.#caches.push(cache);
    return cache;
  }

  /** A namespace that looks as much as possible like the bench's own. */
  get lookalikeNamespaces(): string[] {
    const name = this.#namespace;
    return ['*', `${name}*`, `${name}:`, `${name.slice(0, -1)}?`, name.toUpperCase(), `${name}\0`];
  }

  /** Lets `ms` pass. */
  async pass(ms: number): Promise<void> {
    if (this.clock instanceof ManualClock) {
      // Over long times, what timers start need not be waited for one by one.
      if (ms > 3_600_000) this.clock.advance(ms);
      return this.clock.advanceAsync(ms > 3_600_000 ? 0 : ms);
    }
    if (!this.options.wait)
      throw new Error('storageContract: "realTime" needs "wait", a function that sleeps.');
    await this.options.wait(ms);
  }

  /** Lets a change made through one cache reach the others (P6). */
  async spread(): Promise<void> {
    if (this.options.delayMs !== undefined) await this.pass(this.options.delayMs);
  }

  /** Lets an entry with the bench's life run out. */
  outlive(): Promise<void> {
    return this.pass(this.options.realTime === true ? this.lifeMs + 150 : this.lifeMs);
  }
}

/** One clause about a storage. */
export type StorageClause = (
  ids: string,
  claim: string,
  body: (bench: StorageBench) => Promise<void>,
) => void;
