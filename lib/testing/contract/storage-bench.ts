import type { CacheOptions } from '../../core/cache-options.js';
import { Cache } from '../../core/cache.js';
import { systemClock, type Clock } from '../../core/clock.js';
import type { Duration } from '../../core/duration.js';
import type { CacheStorage, Platform } from '../../core/storage.js';
import { ContractViolation } from '../assertions.js';
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

/** On a machine that is too busy to keep real time, a clause about lives is run so often before its failure counts. */
const ATTEMPTS_MAX = 5;
/** Part of a life that may be lost before a clause is run again: the narrowest one leaves itself a quarter. */
const LOST_MAX = 1 / 10;
/** Where time is real, for storages without a deadline of their own: that a machine is busy is no fault. */
const STORAGE_TIMEOUT: Duration = '5s';

/** What one clause works with: a storage of its own, a namespace of its own, and a clock that it can move. */
export class StorageBench {
  readonly clock: Clock;
  /** A life short enough to outwait, in ms, and as a duration. */
  readonly lifeMs: number;
  readonly #namespace: string;
  readonly #caches: Cache[] = [];
  readonly #began: number;
  #passedMs = 0;

  private constructor(
    readonly options: BenchOptions,
    readonly storage: CacheStorage,
  ) {
    this.clock = options.realTime === true ? systemClock : new ManualClock();
    this.lifeMs = options.realTime === true ? LIFE_MS.real : LIFE_MS.manual;
    this.#namespace = `contract-${options.platform.randomToken()}`;
    this.#began = this.clock.monotonic();
  }

  /** Runs `body` with a bench, and closes what it opened however it ends. */
  static async with(
    options: BenchOptions,
    body: (bench: StorageBench) => Promise<void>,
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const bench = new StorageBench(options, await options.makeStorage());
      try {
        return await body(bench);
      } catch (error) {
        const mayBeLate = error instanceof ContractViolation && bench.#lostTime;
        if (!mayBeLate || attempt === ATTEMPTS_MAX) throw error;
      } finally {
        for (const cache of bench.#caches) await cache.close();
        await options.afterClause?.(bench.storage);
      }
    }
  }

  /** Seconds, for `ttl`. */
  get life(): number {
    return this.lifeMs / 1_000;
  }

  /** A cache over the bench's storage; further ones share its namespace unless they name another. */
  open(options: CacheOptions = {}): Cache {
    const patience = this.options.realTime === true ? { storageTimeout: STORAGE_TIMEOUT } : {};
    const cache = new Cache(
      {
        storage: this.storage,
        namespace: this.#namespace,
        onStorageError: 'throw',
        ...patience,
        ...options,
      },
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
    this.#passedMs += ms;
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

  /** Whether much more real time went by than was asked for, so that lives may have ended early. */
  get #lostTime(): boolean {
    if (this.options.realTime !== true || this.#passedMs === 0) return false;
    return this.clock.monotonic() - this.#began - this.#passedMs > this.lifeMs * LOST_MAX;
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
