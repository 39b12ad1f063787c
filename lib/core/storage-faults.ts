import type { CacheState } from './cache-state.js';
import { CacheError, describe, StorageUnavailableError } from './errors.js';
import type { ScopePath } from './scope.js';
import type { Awaitable, EntryAddress } from './storage.js';

/**
 * What a failed storage operation comes to for its caller (P12, P13). Faults are reported to the listener and counted;
 * mistakes of the caller (a value that cannot be stored, an unsupported call) always go through as they are.
 */
export class StorageFaults {
  constructor(
    readonly storage: string,
    readonly state: CacheState,
    /** `onStorageError: 'throw'` */
    readonly throws: boolean,
  ) {}

  /** `fallback`, or a StorageUnavailableError under `onStorageError: 'throw'`. */
  degrade<T>(during: string, error: unknown, fallback: T, at?: EntryAddress, scope?: ScopePath): T {
    if (!isStorageFault(error)) throw error;
    this.report(during, error, at, scope);
    if (this.throws) throw this.#unavailable(during, error, at, scope);
    return fallback;
  }

  /**
   * For a read: stored bytes that cannot be read any more are a reported miss; other faults too, unless `mayThrow` and the
   * cache was told to throw.
   */
  missOn(error: unknown, at: EntryAddress, mayThrow: boolean): undefined {
    const isUnreadable = error instanceof CacheError && error.code === 'SERIALIZATION';
    if (mayThrow && !isUnreadable) return this.degrade('read', error, undefined, at);
    this.report('read', error, at, undefined);
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
    this.report(during, error, at, scope);
    return this.#unavailable(during, error, at, scope);
  }

  report(during: string, error: unknown, at?: EntryAddress, scope?: ScopePath): void {
    const where = at?.scope ?? scope;
    this.state.onFault({
      during,
      storage: this.storage,
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
      `${during} of ${what} failed on the ${this.storage} storage: ${error instanceof Error ? error.message : describe(error)}. Check that the storage is reachable.`,
      { cause: error },
    );
  }
}

/** Whether the storage is to blame, rather than what the caller passed in: such mistakes carry other codes. */
export function isStorageFault(error: unknown): boolean {
  return !(error instanceof CacheError) || error.code === 'STORAGE_UNAVAILABLE';
}

/** What systems answer where nothing can be written, while all that is there can still be read. */
const NO_ROOM: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS'];

/** Whether the storage answered, and only did not want this: no sign that it is away. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof StorageUnavailableError) return error.isRefusal;
  return NO_ROOM.includes((error as { readonly code?: unknown } | null | undefined)?.code);
}
