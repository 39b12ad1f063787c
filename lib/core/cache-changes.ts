import { checkFunction } from './call-arguments.js';
import type { ChangeOptions } from './cache-options.js';
import type { CacheState } from './cache-state.js';
import type { NewEntry, StoredEntry } from './entry.js';
import {
  describe,
  EntryNotFoundError,
  InvalidOptionsError,
  StorageUnavailableError,
  typeInWords,
} from './errors.js';
import { isPromise } from './guard.js';
import { flag, type KeepSettings } from './load-settings.js';
import type { Loading } from './loading.js';
import type { StorageFaults } from './storage-faults.js';
import type { Awaitable, ChangeResult, EntryAddress, OpenStorage } from './storage.js';
import type { ValuePolicy } from './value/value-policy.js';
import type { WriteFence } from './write-fences.js';

/** How often a change is thought out when something else is faster each time. */
const ATTEMPTS_MAX = 1_000;

/** The atomic changes: what is there becomes something else, and nobody gets in between. They reject on storage faults. */
export class CacheChanges {
  constructor(
    readonly storage: OpenStorage,
    readonly loading: Loading,
    readonly state: CacheState,
    readonly faults: StorageFaults,
    readonly values: ValuePolicy,
  ) {}

  /** Resolves to the stored form of the merged object. */
  async merge(
    at: EntryAddress,
    patch: object,
    keep: KeepSettings,
    options: ChangeOptions | undefined,
  ): Promise<unknown> {
    if (!isPlainObject(patch))
      throw new InvalidOptionsError(
        `merge: the patch must be a plain object, got ${typeInWords(patch)}.`,
      );
    const admitted = this.values.admit(patch, at.key) as object;
    const mergeInto = (current: unknown): unknown => {
      if (current === undefined) return admitted;
      if (!isPlainObject(current))
        throw new InvalidOptionsError(
          `merge: ${at.key} in scope ${at.scope} holds ${typeInWords(current)}, not a plain object. Use set or update.`,
        );
      return this.values.adopt(mergeFields(current, admitted));
    };
    return this.#change('merge', at, mergeInto, keep, options);
  }

  /** Resolves to the stored form of the new value. */
  async update(
    at: EntryAddress,
    change: (current: unknown) => unknown,
    keep: KeepSettings,
    options: ChangeOptions | undefined,
  ): Promise<unknown> {
    checkFunction(change, 'update');
    return this.#change(
      'update',
      at,
      (current) => change(current === undefined ? undefined : this.values.release(current)),
      keep,
      options,
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
      const sum = await this.#fenced(
        at,
        () => this.loading.voidKey(at),
        () => this.storage.increment(at, by, ttlMs),
      );
      this.state.onWrite(at.key, at.scope);
      return sum;
    } catch (error) {
      throw this.faults.honest('increment', error, at);
    }
  }

  async #change(
    during: string,
    at: EntryAddress,
    next: (current: unknown) => unknown,
    keep: KeepSettings,
    options: ChangeOptions | undefined,
  ): Promise<unknown> {
    if (keep.ttlMs === 0)
      throw new InvalidOptionsError(
        `${during}: ttl 0 would keep nothing; use delete, or give a ttl above 0.`,
      );
    const mustExist = flag(options?.mustExist, 'mustExist') ?? false;
    const attempt = new ChangeAttempt(during, this.loading, at);
    const own = new OwnErrors();
    const change = (current: StoredEntry | undefined): Awaitable<ChangeResult> => {
      if (current === undefined && mustExist) throw notFound(during, at);
      attempt.begin();
      return whenNext(next(current?.value), (value) =>
        attempt.toWrite(
          entryOf(
            during === 'merge' ? value : this.values.admit(value, at.key),
            keep,
            current,
            options,
          ),
        ),
      );
    };
    try {
      const result = await this.#fenced(
        at,
        () => attempt.void(),
        () => this.storage.change(at, (current) => own.watch(() => change(current))),
      );
      this.state.onWrite(at.key, at.scope);
      return 'write' in result ? result.write.value : undefined;
    } catch (error) {
      throw own.has(error) ? error : this.faults.honest(during, error, at);
    } finally {
      attempt.end();
    }
  }

  async #fenced<T>(at: EntryAddress, fence: () => void, act: () => Awaitable<T>): Promise<T> {
    return this.loading.fences.settled(this.loading.between([at], fence, act));
  }
}

/**
 * One attempt of an atomic change at a time, fenced: what was thought out before an eviction, from no entry or from one that
 * nobody has seen leave, must not be stored after it (P5).
 */
class ChangeAttempt {
  #fence: WriteFence;
  #count = 0;

  constructor(
    readonly during: string,
    readonly loading: Loading,
    readonly at: EntryAddress,
  ) {
    this.#fence = loading.fences.open(true);
  }

  /** @throws StorageUnavailableError after too many: on a storage in this process they would never let anything else run */
  begin(): void {
    if (++this.#count > ATTEMPTS_MAX) throw overtakenEachTime(this.during, this.at);
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

function overtakenEachTime(during: string, at: EntryAddress): StorageUnavailableError {
  return new StorageUnavailableError(
    `${during}: ${at.key} in scope ${at.scope} was written or evicted during each of ${ATTEMPTS_MAX} attempts, so nothing was stored. The function of update must not change its own entry; if it does not, spread the writes over several keys.`,
  );
}

function whenNext(value: unknown, then: (value: unknown) => ChangeResult): Awaitable<ChangeResult> {
  return isPromise(value as Awaitable<unknown>)
    ? (value as Promise<unknown>).then(then)
    : then(value);
}

/** Grace, sliding and tags carry over from the current entry unless the call names its own. */
function entryOf(
  value: unknown,
  keep: KeepSettings,
  current: StoredEntry | undefined,
  options: ChangeOptions | undefined,
): NewEntry {
  return {
    value,
    ttlMs: keep.ttlMs,
    graceMs: options?.grace === undefined ? graceAfter(current, keep) : keep.graceMs,
    sliding: options?.sliding ?? current?.sliding ?? keep.sliding,
    tags: options?.tags ? keep.tags : (current?.tags ?? keep.tags),
  };
}

function graceAfter(current: StoredEntry | undefined, keep: KeepSettings): number {
  // What never expires has no grace of its own.
  if (current === undefined || current.freshUntil === Infinity) return keep.graceMs;
  return Math.round(current.staleUntil - current.freshUntil);
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
