import { checkFunction } from './call-arguments.js';
import type { ChangeOptions } from './cache-options.js';
import type { CacheState } from './cache-state.js';
import type { NewEntry, StoredEntry } from './entry.js';
import {
  CacheError,
  describe,
  EntryNotFoundError,
  InvalidOptionsError,
  typeInWords,
  StorageUnavailableError,
} from './errors.js';
import { isPromise } from './guard.js';
import { checkedTags, type KeepSettings } from './load-settings.js';
import type { Loading } from './loading.js';
import type {
  Awaitable,
  ChangeResult,
  EntryAddress,
  OpenStorage,
  WriteOptions,
} from './storage.js';
import { GLOBAL_SCOPE as ROOT, type ScopePath } from './scope.js';
import type { ValuePolicy } from './value/value-policy.js';
import type { WriteFence } from './write-fences.js';

/**
 * Everything that changes what is cached. Each change voids the loads it outdates before it starts, and once more when
 * the storage has done it: a load that began in between may have read the old state (P5).
 */
export class CacheWriter {
  constructor(
    readonly storage: OpenStorage,
    readonly loading: Loading,
    readonly state: CacheState,
    /** `onStorageError: 'throw'` */
    readonly throws: boolean,
  ) {}

  set(at: EntryAddress, entry: NewEntry, tiers: WriteOptions | undefined): Promise<void> {
    this.loading.voidKey(at);
    const written = this.storage.write(at, entry, tiers);
    if (isPromise(written)) return this.#finishSet(written, at);
    if (written) this.state.onWrite(at.key, at.scope);
    return Promise.resolve();
  }

  /**
   * Stores a value that was begun when `fence` was taken, unless its entry has changed since. Then the entry goes instead:
   * which of the two values is newer cannot be told, and a miss is right in either case.
   */
  async setFenced(
    at: EntryAddress,
    entry: NewEntry,
    tiers: WriteOptions | undefined,
    fence: WriteFence,
  ): Promise<boolean> {
    const { fences } = this.loading;
    const storing = this.#storeOrRemove(at, entry, tiers, fence);
    // Storages without leases ask just before they write, so there nothing can be overtaken on the way.
    const stored = await (this.storage.leases
      ? fences.track(fence, at, entry.tags, storing)
      : storing);
    await fences.overtakenWrites();
    return stored;
  }

  async delete(at: EntryAddress): Promise<boolean> {
    const removed = await this.#remove(at);
    await this.loading.fences.overtakenWrites();
    return removed;
  }

  /** `ttl: 0`: nothing is kept, not even what was there. */
  async drop(at: EntryAddress): Promise<void> {
    await this.delete(at);
  }

  async touch(at: EntryAddress, ttlMs: number): Promise<boolean> {
    if (ttlMs === 0) return this.delete(at);
    try {
      return await this.storage.touch(at, ttlMs);
    } catch (error) {
      return this.degrade('touch', error, false, at);
    }
  }

  /** Resolves to the stored form of the merged object. */
  async merge(
    at: EntryAddress,
    patch: object,
    keep: KeepSettings,
    options: ChangeOptions | undefined,
    values: ValuePolicy,
  ): Promise<unknown> {
    if (!isPlainObject(patch))
      throw new InvalidOptionsError(
        `merge: the patch must be a plain object, got ${typeInWords(patch)}.`,
      );
    const admitted = values.admit(patch, at.key) as object;
    const mergeInto = (current: unknown): unknown => {
      if (current === undefined) return admitted;
      if (!isPlainObject(current))
        throw new InvalidOptionsError(
          `merge: ${at.key} in scope ${at.scope} holds ${typeInWords(current)}, not a plain object. Use set or update.`,
        );
      return mergeFields(current, admitted);
    };
    return this.#change('merge', at, mergeInto, keep, options, values);
  }

  /** Resolves to the stored form of the new value. */
  async update(
    at: EntryAddress,
    change: (current: unknown) => unknown,
    keep: KeepSettings,
    options: ChangeOptions | undefined,
    values: ValuePolicy,
  ): Promise<unknown> {
    checkFunction(change, 'update');
    return this.#change(
      'update',
      at,
      (current) => change(current === undefined ? undefined : values.release(current)),
      keep,
      options,
      values,
    );
  }

  async increment(at: EntryAddress, by: number, ttlMs: number): Promise<number> {
    if (typeof by !== 'number' || !Number.isFinite(by))
      throw new InvalidOptionsError(
        `increment: "by" must be a finite number, got ${describe(by)}.`,
      );
    if (ttlMs === 0)
      throw new InvalidOptionsError(
        'increment: a counter with ttl 0 would never be kept; give it a ttl above 0.',
      );
    try {
      this.loading.voidKey(at);
      const sum = await this.storage.increment(at, by, ttlMs);
      await this.#settle(() => this.loading.voidKey(at));
      this.state.onWrite(at.key, at.scope);
      return sum;
    } catch (error) {
      throw this.honest('increment', error, at);
    }
  }

  evictScope(scope: ScopePath): Promise<number> {
    return this.#fenced(
      'evictScope',
      () => this.loading.voidScope(scope),
      () => this.storage.evictScope(scope),
      0,
      undefined,
      scope,
    );
  }

  async evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    const checked = checkedTags(tags);
    if (checked.length === 0) return 0;
    const suspect = (): void => this.loading.suspectTags(scope, checked);
    return this.#fenced(
      'evictTags',
      suspect,
      () => this.storage.evictTags(scope, checked),
      0,
      undefined,
      scope,
    );
  }

  async expire(scope: ScopePath, tags: readonly string[] | undefined): Promise<number> {
    const checked = tags === undefined ? undefined : checkedTags(tags);
    if (checked?.length === 0) return 0;
    const fence = (): void =>
      checked ? this.loading.suspectTags(scope, checked) : this.loading.voidScope(scope);
    return this.#fenced(
      'expire',
      fence,
      () => this.storage.expire(scope, checked),
      0,
      undefined,
      scope,
    );
  }

  async clear(): Promise<void> {
    const fence = (): void => this.loading.voidScope(ROOT);
    await this.#fenced('clear', fence, () => this.storage.clear(), undefined);
  }

  /** Live entries in all, -1 when the storage cannot say. */
  async countOrUnknown(): Promise<number> {
    try {
      return await this.storage.count(ROOT);
    } catch (error) {
      this.#report('count', error, undefined, undefined);
      return -1;
    }
  }

  /**
   * What a failed operation comes to: `fallback`, or a StorageUnavailableError under `onStorageError: 'throw'`.
   * Errors that are the caller's (a value that cannot be stored, an unsupported call) always go through.
   */
  degrade<T>(during: string, error: unknown, fallback: T, at?: EntryAddress, scope?: ScopePath): T {
    if (error instanceof CacheError && error.code !== 'STORAGE_UNAVAILABLE') throw error;
    this.#report(during, error, at, scope);
    if (this.throws) throw this.#unavailable(during, error, at, scope);
    return fallback;
  }

  /**
   * What a failed read comes to. Stored bytes that cannot be read any more are a reported miss; other faults too, unless
   * `mayThrow` and the cache was told to throw.
   */
  missOn(error: unknown, at: EntryAddress, mayThrow: boolean): undefined {
    const isUnreadable = error instanceof CacheError && error.code === 'SERIALIZATION';
    if (mayThrow && !isUnreadable) return this.degrade('read', error, undefined, at);
    this.#report('read', error, at, undefined);
    return undefined;
  }

  /** For what has no honest degraded answer: a storage fault rejects in either mode, as a StorageUnavailableError. */
  async honestly<T>(during: string, scope: ScopePath, work: () => Awaitable<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.honest(during, error, undefined, scope);
    }
  }

  /** What such an operation rejects with: the caller's own mistakes as they are, and reported faults. */
  honest(during: string, error: unknown, at?: EntryAddress, scope?: ScopePath): unknown {
    if (!isStorageFault(error)) return error;
    this.#report(during, error, at, scope);
    return this.#unavailable(during, error, at, scope);
  }

  async #storeOrRemove(
    at: EntryAddress,
    entry: NewEntry,
    tiers: WriteOptions | undefined,
    fence: WriteFence,
  ): Promise<boolean> {
    const stillValid = (): boolean => !fence.isOvertaken(at, entry.tags);
    const stored = stillValid() && (await this.#writeFenced(at, entry, tiers, fence, stillValid));
    if (!stillValid()) await this.#remove(at);
    return stored && stillValid();
  }

  async #remove(at: EntryAddress): Promise<boolean> {
    const removed = await this.#between(
      'delete',
      () => this.loading.voidKey(at),
      () => this.storage.remove(at),
      false,
      at,
    );
    if (removed) this.state.deletes++;
    return removed;
  }

  async #writeFenced(
    at: EntryAddress,
    entry: NewEntry,
    tiers: WriteOptions | undefined,
    fence: WriteFence,
    stillValid: () => boolean,
  ): Promise<boolean> {
    this.loading.voidKey(at, fence);
    try {
      const written = this.storage.write(at, entry, { ...tiers, stillValid });
      const stored = isPromise(written) ? await written : written;
      if (stored) this.state.onWrite(at.key, at.scope);
      return stored;
    } catch (error) {
      return this.degrade('set', error, false, at);
    } finally {
      this.loading.voidKey(at, fence);
    }
  }

  async #finishSet(written: Promise<boolean>, at: EntryAddress): Promise<void> {
    try {
      if (await written) this.state.onWrite(at.key, at.scope);
    } catch (error) {
      this.degrade('set', error, undefined, at);
    } finally {
      await this.#settle(() => this.loading.voidKey(at));
    }
  }

  /** The fence after the act; then the puts that it overtook have yet to take back what they brought. */
  async #settle(fence: () => void): Promise<void> {
    fence();
    await this.loading.fences.overtakenWrites();
  }

  async #fenced<T>(
    during: string,
    fence: () => void,
    act: () => Awaitable<T>,
    fallback: T,
    at?: EntryAddress,
    scope?: ScopePath,
  ): Promise<T> {
    try {
      return await this.#between(during, fence, act, fallback, at, scope);
    } finally {
      await this.loading.fences.overtakenWrites();
    }
  }

  async #between<T>(
    during: string,
    fence: () => void,
    act: () => Awaitable<T>,
    fallback: T,
    at?: EntryAddress,
    scope?: ScopePath,
  ): Promise<T> {
    fence();
    try {
      const result = act();
      return isPromise(result) ? await result : result;
    } catch (error) {
      return this.degrade(during, error, fallback, at, scope);
    } finally {
      fence();
    }
  }

  async #change(
    during: string,
    at: EntryAddress,
    next: (current: unknown) => unknown,
    keep: KeepSettings,
    options: ChangeOptions | undefined,
    values: ValuePolicy,
  ): Promise<unknown> {
    if (keep.ttlMs === 0)
      throw new InvalidOptionsError(
        `${during}: ttl 0 would keep nothing; use delete, or give a ttl above 0.`,
      );
    const attempt = new ChangeAttempt(this.loading, at);
    const own = new OwnErrors();
    const change = (current: StoredEntry | undefined): Awaitable<ChangeResult> => {
      if (current === undefined && options?.mustExist === true) throw notFound(during, at);
      attempt.begin();
      return whenNext(next(current?.value), (value) =>
        attempt.toWrite(
          entryOf(during === 'merge' ? value : values.admit(value, at.key), keep, current, options),
        ),
      );
    };
    try {
      attempt.void();
      const result = await this.storage.change(at, (current) => own.watch(() => change(current)));
      await this.#settle(() => attempt.void());
      this.state.onWrite(at.key, at.scope);
      return 'write' in result ? result.write.value : undefined;
    } catch (error) {
      throw own.has(error) ? error : this.honest(during, error, at);
    } finally {
      attempt.end();
    }
  }

  #report(
    during: string,
    error: unknown,
    at: EntryAddress | undefined,
    scope: ScopePath | undefined,
  ): void {
    const where = at?.scope ?? scope;
    this.state.onFault({
      during,
      storage: this.storage.type,
      error,
      ...(at && { key: at.key }),
      ...(where && { scope: where }),
    });
  }

  #unavailable(
    during: string,
    error: unknown,
    at?: EntryAddress,
    scope?: ScopePath,
  ): StorageUnavailableError {
    if (error instanceof StorageUnavailableError) return error;
    const what = at ? `${at.key} in scope ${at.scope}` : `scope ${scope ?? 'global'}`;
    return new StorageUnavailableError(
      `${during} of ${what} failed on the ${this.storage.type} storage: ${error instanceof Error ? error.message : describe(error)}. Check that the storage is reachable.`,
      { cause: error },
    );
  }
}

/** Whether the storage is to blame, rather than what the caller passed in. */
function isStorageFault(error: unknown): boolean {
  return !(error instanceof CacheError) || error.code === 'STORAGE_UNAVAILABLE';
}

/**
 * One attempt of an atomic change at a time, fenced: what was thought out before an eviction, from no entry or from one that
 * nobody has seen leave, must not be stored after it (P5).
 */
class ChangeAttempt {
  #fence: WriteFence;

  constructor(
    readonly loading: Loading,
    readonly at: EntryAddress,
  ) {
    this.#fence = loading.fences.open(true);
  }

  begin(): void {
    this.end();
    this.#fence = this.loading.fences.open(true);
  }

  toWrite(write: NewEntry): ChangeResult {
    const fence = this.#fence;
    return {
      write,
      beforeWrite: () => this.void(),
      stillValid: () => !fence.isOvertaken(this.at, write.tags),
    };
  }

  void(): void {
    this.loading.voidKey(this.at, this.#fence);
  }

  end(): void {
    this.#fence.close();
  }
}

/** Tells what the caller's own function threw from faults of the storage that ran it. */
class OwnErrors {
  #thrown: { readonly error: unknown } | undefined;

  has(error: unknown): boolean {
    return this.#thrown !== undefined && this.#thrown.error === error;
  }

  watch<T>(work: () => Awaitable<T>): Awaitable<T> {
    try {
      const result = work();
      return isPromise(result) ? result.catch((error: unknown) => this.#note(error)) : result;
    } catch (error) {
      return this.#note(error);
    }
  }

  #note(error: unknown): never {
    this.#thrown = { error };
    throw error;
  }
}

function notFound(during: string, at: EntryAddress): EntryNotFoundError {
  return new EntryNotFoundError(
    `${during}: there is no live entry ${at.key} in scope ${at.scope}, and mustExist was asked for. Nothing was created.`,
  );
}

function whenNext(value: unknown, then: (value: unknown) => ChangeResult): Awaitable<ChangeResult> {
  return isPromise(value as Awaitable<unknown>)
    ? (value as Promise<unknown>).then(then)
    : then(value);
}

/** Sliding and tags carry over from the current entry unless the call names its own. */
function entryOf(
  value: unknown,
  keep: KeepSettings,
  current: StoredEntry | undefined,
  options: ChangeOptions | undefined,
): NewEntry {
  return {
    value,
    ttlMs: keep.ttlMs,
    graceMs: keep.graceMs,
    sliding: options?.sliding ?? current?.sliding ?? keep.sliding,
    tags: options?.tags ? keep.tags : (current?.tags ?? keep.tags),
  };
}

function isPlainObject(value: unknown): value is object {
  return (
    Object.prototype.toString.call(value) === '[object Object]' &&
    !isPromise(value as Awaitable<unknown>)
  );
}

/** Defines rather than assigns, so that an own `__proto__` field stays a field. Neither input changes: both are stored forms. */
function mergeFields(current: object, patch: object): object {
  const merged: object = {};
  for (const source of [current, patch])
    for (const [name, value] of Object.entries(source))
      Object.defineProperty(merged, name, {
        value,
        writable: true,
        enumerable: true,
        configurable: true,
      });
  return merged;
}
