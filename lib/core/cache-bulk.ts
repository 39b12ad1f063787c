import type { LoadContext, LookupOptions, ManyLoader } from './cache-options.js';
import type { CacheKey } from './cache-key.js';
import type { Clock } from './clock.js';
import type { CacheState } from './cache-state.js';
import type { Duration } from './duration.js';
import type { NewEntry, StoredEntry } from './entry.js';
import { BulkLoadError, describe, InvalidOptionsError, typeInWords } from './errors.js';
import type { LoadSettings } from './load-settings.js';
import { PATIENCE_MS, requestOf } from './load-request.js';
import type { Loading } from './loading.js';
import { MISS, type Hit, type Lookup } from './lookup.js';
import { PartialRead } from './partial-read.js';
import type { StorageFaults } from './storage-faults.js';
import type { Awaitable, EntryAddress, OpenStorage, WriteOptions } from './storage.js';

interface BulkRead {
  readonly entries: readonly (StoredEntry | undefined)[];
  /** Nothing failed. */
  readonly isWhole: boolean;
}

/** Operations on many keys: one round trip where the storage has one, single-flight per key all the same. */
export class CacheBulk {
  constructor(
    readonly storage: OpenStorage,
    readonly loading: Loading,
    readonly state: CacheState,
    readonly faults: StorageFaults,
  ) {}

  /** What could not be read is a miss. */
  async read(
    at: readonly EntryAddress[],
    options: LookupOptions | undefined,
  ): Promise<readonly (StoredEntry | undefined)[]> {
    return (await this.#tryToRead(at, options)).entries;
  }

  /** Everything is a miss when something could not be read: who looks for the nearest must not take one that is not. */
  async readAll(
    at: readonly EntryAddress[],
    options: LookupOptions | undefined,
  ): Promise<readonly (StoredEntry | undefined)[]> {
    const { entries, isWhole } = await this.#tryToRead(at, options);
    return isWhole ? entries : at.map(() => undefined);
  }

  async write(
    items: readonly (readonly [EntryAddress, NewEntry])[],
    tiers: WriteOptions | undefined,
  ): Promise<void> {
    if (items.length === 0) return;
    const at = items.map(([one]) => one);
    const isDrop = items[0]![1].ttlMs === 0;
    try {
      await this.#fenced(at, (): Awaitable<unknown> =>
        isDrop ? this.storage.removeMany(at) : this.storage.writeMany(items, tiers),
      );
      if (!isDrop) for (const one of at) this.state.onWrite(one.key, one.scope);
    } catch (error) {
      this.faults.degrade('setMany', error, undefined, at[0]);
    }
  }

  async remove(at: readonly EntryAddress[]): Promise<number> {
    if (at.length === 0) return 0;
    try {
      const removed = await this.#fenced(at, () => this.storage.removeMany(at));
      this.state.deletes += removed;
      return removed;
    } catch (error) {
      return this.faults.degrade('deleteMany', error, 0, at[0]);
    }
  }

  /**
   * Values in order, in stored form. Each missing key is a load of its own (so that `getOrSet` and other bulk calls join
   * it), but all loads that this call leads share one call of `loader`.
   */
  async obtain(
    at: readonly EntryAddress[],
    keys: readonly CacheKey[],
    loader: ManyLoader<CacheKey, unknown>,
    settings: LoadSettings,
    judge: (entry: StoredEntry | undefined, at: EntryAddress) => Hit<unknown> | undefined,
  ): Promise<unknown[]> {
    const { revision, platform } = this.loading;
    const { clock } = platform;
    const since = clock.monotonic();
    const { entries, isWhole } = await this.#tryToRead(at, settings.tiers);
    const isAway = !isWhole && clock.monotonic() - since >= PATIENCE_MS;
    const batch = new LoadBatch(loader, clock);
    const pending = at.map(async (one, index) => {
      const found = judge(entries[index], one);
      if (found) return found.value;
      const load = (context: LoadContext): Promise<unknown> => batch.load(keys[index]!, context);
      const request = requestOf(one, load, settings, entries[index], revision, isAway);
      if (!this.loading.flights.find(request.id)) batch.expectOneMore();
      return (await this.loading.obtain(request)).value;
    });
    batch.seal();
    const results = await Promise.allSettled(pending);
    if (results.some((result) => result.status === 'rejected')) throw failure(results, keys);
    return results.map((result) => (result as PromiseFulfilledResult<unknown>).value);
  }

  async #fenced<T>(at: readonly EntryAddress[], act: () => Awaitable<T>): Promise<T> {
    const fence = (): void => at.forEach((one) => this.loading.voidKey(one));
    return this.loading.fences.settled(this.loading.between(at, fence, act));
  }

  async #tryToRead(
    at: readonly EntryAddress[],
    options: LookupOptions | undefined,
  ): Promise<BulkRead> {
    try {
      return {
        entries: at.length === 0 ? [] : await this.storage.readMany(at, options),
        isWhole: true,
      };
    } catch (error) {
      const isPartial = error instanceof PartialRead;
      const entries = isPartial ? error.entries : at.map(() => undefined);
      const read: BulkRead = { entries, isWhole: false };
      return this.faults.degrade('getMany', isPartial ? error.cause : error, read, at[0]);
    }
  }
}

type Waiting = {
  key: CacheKey;
  context: LoadContext;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
};

/** How long a batch waits for keys whose leases are slow to come. */
const GATHER_MS = 5;

/** Gathers the keys that one bulk call leads, and loads them with one call of its loader. */
class LoadBatch {
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

  load(key: CacheKey, context: LoadContext): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, context, resolve, reject });
      if (this.#isSealed) this.#runOrWait();
    });
  }

  #runOrWait(): void {
    if (this.#waiting.length >= this.#expected) void this.#run();
    else this.#callOff ??= this.clock.after(GATHER_MS, () => void this.#run());
  }

  async #run(): Promise<void> {
    const batch = this.#waiting;
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

function isError(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object Error]' || value instanceof Error;
}

function failure(
  results: PromiseSettledResult<unknown>[],
  keys: readonly CacheKey[],
): BulkLoadError {
  const failed = keys.filter((_, index) => results[index]!.status === 'rejected');
  const first = results.find(
    (result): result is PromiseRejectedResult => result.status === 'rejected',
  )!;
  return new BulkLoadError(
    `Loading ${failed.length} of ${keys.length} keys failed; the others are cached. First: ${describe(failed[0])} (${messageOf(first.reason)}). See "results" for each key.`,
    results,
    { cause: first.reason },
  );
}

function messageOf(reason: unknown): string {
  return isError(reason) ? (reason as Error).message.replace(/\.$/, '') : describe(reason);
}
