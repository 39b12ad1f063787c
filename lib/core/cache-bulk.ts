import type { LoadContext, LookupOptions, ManyLoader } from './cache-options.js';
import type { CacheKey } from './cache-key.js';
import type { CacheReader } from './cache-reader.js';
import type { CacheState } from './cache-state.js';
import type { NewEntry, StoredEntry } from './entry.js';
import { BulkLoadError, describe } from './errors.js';
import { isError, LoadBatch } from './load-batch.js';
import type { LoadSettings } from './load-settings.js';
import { PATIENCE_MS, requestOf } from './load-request.js';
import type { Loading } from './loading.js';
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
    readonly reader: CacheReader,
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
   * it), but all loads that this call leads share one call of `loader`; and so do the refreshes that it starts.
   */
  async obtain(
    at: readonly EntryAddress[],
    keys: readonly CacheKey[],
    loader: ManyLoader<CacheKey, unknown>,
    settings: LoadSettings,
  ): Promise<unknown[]> {
    const { revision, platform } = this.loading;
    const { clock } = platform;
    const since = clock.monotonic();
    const { entries, isWhole } = await this.#tryToRead(at, settings.tiers);
    const isAway = !isWhole && clock.monotonic() - since >= PATIENCE_MS;
    const missing = new LoadBatch(loader, clock);
    const early = new LoadBatch(loader, clock);
    const pending = at.map(async (one, index) => {
      const entry = entries[index];
      const isFresh = entry !== undefined && this.reader.isFresh(entry);
      if (isFresh && !this.reader.isDue(entry, settings)) return this.reader.hit(entry, one);
      const batch = isFresh ? early : missing;
      const load = (context: LoadContext): Promise<unknown> =>
        batch.load(keys[index]!, index, context);
      const request = requestOf(one, load, settings, entry, revision, isAway);
      if (!this.loading.flights.find(request.id)) batch.expectOneMore();
      if (!isFresh) return (await this.loading.obtain(request)).value;
      this.loading.refresh(request);
      return this.reader.hit(entry, one);
    });
    missing.seal();
    early.seal();
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
