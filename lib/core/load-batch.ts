import type { LoadContext, ManyLoader } from './cache-options.js';
import type { CacheKey } from './cache-key.js';
import type { Clock } from './clock.js';
import type { Duration } from './duration.js';
import { InvalidOptionsError, typeInWords } from './errors.js';
import { MISS, type Lookup } from './lookup.js';

type Waiting = {
  key: CacheKey;
  /** Its place in the call. */
  index: number;
  context: LoadContext;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
};

/** How long a batch waits for keys whose leases are slow to come. */
const GATHER_MS = 5;

/** Gathers the keys that one bulk call leads, and loads them with one call of its loader. */
export class LoadBatch {
  #waiting: Waiting[] = [];
  #expected = 0;
  #isSealed = false;
  #callOff: (() => void) | undefined;

  constructor(
    readonly loader: ManyLoader<CacheKey, unknown>,
    readonly clock: Clock,
  ) {}

  /** A load was launched, which will ask for its key unless it turns out a hit or busy elsewhere. */
  expectOneMore(): void {
    this.#expected++;
  }

  /** All loads of the call are launched; those on a synchronous storage have asked for their keys already. */
  seal(): void {
    this.#isSealed = true;
    if (this.#waiting.length > 0) this.#runOrWait();
  }

  load(key: CacheKey, index: number, context: LoadContext): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, index, context, resolve, reject });
      if (this.#isSealed) this.#runOrWait();
    });
  }

  #runOrWait(): void {
    if (this.#waiting.length >= this.#expected) void this.#run();
    else this.#callOff ??= this.clock.after(GATHER_MS, () => void this.#run());
  }

  async #run(): Promise<void> {
    // Leases come as they come; the loader gets its keys in the order of the call.
    const batch = this.#waiting.sort((one, other) => one.index - other.index);
    this.#expected -= batch.length;
    this.#waiting = [];
    this.#callOff?.();
    this.#callOff = undefined;
    try {
      const values = await this.loader(
        batch.map(({ key }) => key),
        new BatchContext(batch.map(({ context }) => context)),
      );
      if (!Array.isArray(values) || values.length !== batch.length)
        throw new InvalidOptionsError(
          `getOrSetMany: the loader must return one value for each of its ${batch.length} keys, in their order; got ${typeInWords(values)}.`,
        );
      batch.forEach(({ resolve, reject }, index) => {
        const value: unknown = values[index];
        if (isError(value)) reject(value);
        else resolve(value);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}

/** What the loader of a batch decides holds for all its keys. Their stale values are not shown: it is one for many. */
class BatchContext implements LoadContext {
  constructor(readonly all: readonly LoadContext[]) {}

  /** The keys have one set of timeouts and one owner, so they are aborted together. */
  get signal(): AbortSignal {
    return this.all[0]!.signal;
  }

  get stale(): Lookup<unknown> {
    return this.all.length === 1 ? this.all[0]!.stale : MISS;
  }

  setTtl(ttl: Duration): void {
    for (const one of this.all) one.setTtl(ttl);
  }

  setGrace(grace: Duration): void {
    for (const one of this.all) one.setGrace(grace);
  }

  addTags(...tags: string[]): void {
    for (const one of this.all) one.addTags(...tags);
  }

  skipStore(): void {
    for (const one of this.all) one.skipStore();
  }

  negative(ttl: Duration): void {
    for (const one of this.all) one.negative(ttl);
  }
}

/** By kind: errors may come from another realm. */
export function isError(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object Error]' || value instanceof Error;
}
