import type { NewEntry, StoredEntry } from '../entry.js';
import { CacheError, StorageUnavailableError } from '../errors.js';
import { isPromise } from '../guard.js';
import { GLOBAL_SCOPE, type ScopePath } from '../scope.js';
import type {
  Awaitable,
  Change,
  ChangeResult,
  EntryAddress,
  Leases,
  ListedEntry,
  ListOptions,
  OpenStorage,
  ReadOptions,
  StorageHost,
  WriteOptions,
} from '../storage.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { PausableDeadline, withDeadline } from './deadline.js';
import { EvictionJournal } from './eviction-journal.js';
import { resilientLeases } from './resilient-leases.js';

/** Operations over many entries may take this many times longer than one on a single entry. */
const WIDE_FACTOR = 20;
/** How often unconfirmed evictions are tried again without a caller asking. */
const REPLAY_EVERY_MS = 500;

/**
 * A storage that may be slow or away, made safe to wait for (P12, P13): every operation has a deadline and passes a
 * circuit breaker; evictions that fail are journaled, in force here at once, and carried out before anything else is
 * let through again, so that no read sees what an unconfirmed eviction should have removed.
 *
 * Operations still reject when they fail; what that means for the caller is decided in `CacheWriter.degrade`.
 */
export class ResilientStorage implements OpenStorage {
  readonly type: string;
  readonly holds: 'values' | 'bytes';
  readonly leases?: Leases;
  readonly #breaker: CircuitBreaker;
  readonly #journal = new EvictionJournal();
  #replayed = 0;
  #replaying: Promise<void> | undefined;
  #stopReplayTimer: (() => void) | undefined;
  #isClosed = false;

  constructor(
    readonly inner: OpenStorage,
    readonly host: StorageHost,
    readonly timeoutMs: number,
  ) {
    this.type = inner.type;
    this.holds = inner.holds;
    this.#breaker = new CircuitBreaker(host.clock);
    if (inner.leases)
      this.leases = resilientLeases(
        inner.leases,
        (during, work) => this.#guard(during, work),
        host.listener,
      );
  }

  async read(at: EntryAddress, options?: ReadOptions): Promise<StoredEntry | undefined> {
    const entry = await this.#guard('read', () => this.inner.read(at, options));
    return entry && this.#isEvicted(at, entry) ? undefined : entry;
  }

  async readMany(
    at: readonly EntryAddress[],
    options?: ReadOptions,
  ): Promise<(StoredEntry | undefined)[]> {
    const entries = await this.#guard(
      'readMany',
      () => this.inner.readMany(at, options),
      WIDE_FACTOR,
    );
    return entries.map((entry, index) =>
      entry && this.#isEvicted(at[index]!, entry) ? undefined : entry,
    );
  }

  /** A write that failed may or may not have happened; what it should have replaced must not be read again. */
  write(at: EntryAddress, entry: NewEntry, options?: WriteOptions): Promise<boolean> {
    return this.#orJournal(
      'write',
      () => this.inner.write(at, entry, options),
      () => this.#journal.addKey(at),
    );
  }

  writeMany(
    items: readonly (readonly [EntryAddress, NewEntry])[],
    options?: WriteOptions,
  ): Promise<void> {
    const journal = (): void => items.forEach(([at]) => this.#journal.addKey(at));
    return this.#orJournal(
      'writeMany',
      () => this.inner.writeMany(items, options),
      journal,
      WIDE_FACTOR,
    );
  }

  remove(at: EntryAddress): Promise<boolean> {
    return this.#orJournal(
      'remove',
      () => this.inner.remove(at),
      () => this.#journal.addKey(at),
    );
  }

  removeMany(at: readonly EntryAddress[]): Promise<number> {
    const journal = (): void => at.forEach((one) => this.#journal.addKey(one));
    return this.#orJournal('removeMany', () => this.inner.removeMany(at), journal, WIDE_FACTOR);
  }

  touch(at: EntryAddress, ttlMs: number): Promise<boolean> {
    return this.#guard('touch', () => this.inner.touch(at, ttlMs));
  }

  /** The caller's function may take its time; the storage may not. */
  async change(at: EntryAddress, change: Change): Promise<ChangeResult> {
    const deadline = new PausableDeadline(this.host.clock, this.timeoutMs * 2, 'change');
    let ownError: { error: unknown } | undefined;
    const timed: Change = async (current) => {
      deadline.pause();
      try {
        return await change(current);
      } catch (error) {
        ownError = { error };
        throw error;
      } finally {
        deadline.resume();
      }
    };
    try {
      this.#breaker.admit('change');
      const act = (): Promise<ChangeResult> =>
        deadline.race(Promise.resolve(this.inner.change(at, timed)));
      const result =
        this.#journal.size > 0
          ? await this.#afterReplay('change', () => act, this.timeoutMs).then((start) => start())
          : await act();
      this.#breaker.succeeded();
      return result;
    } catch (error) {
      deadline.pause();
      if (ownError) throw ownError.error;
      if (isStorageFault(error)) {
        this.#journal.addKey(at);
        this.#armReplay();
      }
      throw this.#noteFailure(error);
    }
  }

  increment(at: EntryAddress, by: number, ttlMs: number): Promise<number> {
    return this.#guard('increment', () => this.inner.increment(at, by, ttlMs));
  }

  evictScope(scope: ScopePath): Promise<number> {
    return this.#orJournal(
      'evictScope',
      () => this.inner.evictScope(scope),
      () => this.#journal.addScope(scope),
      WIDE_FACTOR,
    );
  }

  evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    return this.#orJournal(
      'evictTags',
      () => this.inner.evictTags(scope, tags),
      () => this.#journal.addTags(scope, tags),
      WIDE_FACTOR,
    );
  }

  /** What cannot be marked stale is evicted when the storage is back: less is served, never something older. */
  expire(scope: ScopePath, tags: readonly string[] | undefined): Promise<number> {
    const journal = (): void =>
      tags ? this.#journal.addTags(scope, tags) : this.#journal.addScope(scope);
    return this.#orJournal('expire', () => this.inner.expire(scope, tags), journal, WIDE_FACTOR);
  }

  clear(): Promise<void> {
    return this.#orJournal(
      'clear',
      () => this.inner.clear(),
      () => this.#journal.addScope(GLOBAL_SCOPE),
      WIDE_FACTOR,
    );
  }

  async *list(scope: ScopePath, options: ListOptions): AsyncGenerator<ListedEntry> {
    const lines = this.inner.list(scope, options)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#guard('list', () => lines.next(), WIDE_FACTOR);
        if (next.done) return;
        if (!this.#isEvicted(next.value.address, next.value.entry)) yield next.value;
      }
    } finally {
      await lines.return?.();
    }
  }

  count(scope: ScopePath): Promise<number> {
    return this.#guard('count', () => this.inner.count(scope), WIDE_FACTOR);
  }

  removeExpired(): Promise<number> {
    return this.#guard('removeExpired', () => this.inner.removeExpired(), WIDE_FACTOR * 10);
  }

  removeIdle(scope: ScopePath, idleMs: number): Promise<number> {
    return this.#guard('removeIdle', () => this.inner.removeIdle(scope, idleMs), WIDE_FACTOR * 10);
  }

  figures(): Readonly<Record<string, number>> {
    return {
      ...this.inner.figures?.(),
      journaledEvictions: this.#journal.size,
      replayedEvictions: this.#replayed,
      circuitOpen: this.#breaker.isOpen ? 1 : 0,
    };
  }

  async ready(): Promise<void> {
    await this.inner.ready?.();
  }

  /** Tries once more to deliver what is journaled, then says what was lost. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopReplayTimer?.();
    if (this.#journal.size > 0) {
      await this.#replay().catch((error: unknown) => {
        const lost = new CacheError(
          'STORAGE_UNAVAILABLE',
          `${this.#journal.size} evictions never reached the storage; they are lost with this process.`,
          { cause: error },
        );
        this.host.listener.onFault?.({ during: 'close', storage: this.type, error: lost });
      });
    }
    await withDeadline(
      this.host.clock,
      this.timeoutMs * WIDE_FACTOR,
      'close',
      Promise.resolve(this.inner.close()),
    );
  }

  async #orJournal<T>(
    during: string,
    work: () => Awaitable<T>,
    journal: () => void,
    factor = 1,
  ): Promise<T> {
    try {
      return await this.#guard(during, work, factor);
    } catch (error) {
      if (isStorageFault(error)) {
        journal();
        this.#armReplay();
      }
      throw error;
    }
  }

  async #guard<T>(during: string, work: () => Awaitable<T>, factor = 1): Promise<T> {
    this.#breaker.admit(during);
    const ms = this.timeoutMs * factor;
    try {
      const result =
        this.#journal.size > 0
          ? await this.#afterReplay(during, work, ms)
          : await this.#timed(during, work(), ms);
      this.#breaker.succeeded();
      return result;
    } catch (error) {
      throw this.#noteFailure(error);
    }
  }

  /** A storage with deadlines of its own is spared a second timer for each operation. */
  #timed<T>(during: string, work: Awaitable<T>, ms: number): Awaitable<T> {
    return this.inner.keepsDeadlines === true || !isPromise(work)
      ? work
      : withDeadline(this.host.clock, ms, during, work);
  }

  /** Nothing is let through before the journal is delivered, nor when its caller has given up waiting for that. */
  async #afterReplay<T>(during: string, work: () => Awaitable<T>, ms: number): Promise<T> {
    let isLate = false;
    const attempt = async (): Promise<T> => {
      await this.#replay();
      if (isLate) throw new StorageUnavailableError(`${during} was given up before it was tried.`);
      return work();
    };
    try {
      return await withDeadline(this.host.clock, ms, during, attempt());
    } finally {
      isLate = true;
    }
  }

  #replay(): Promise<void> {
    this.#replaying ??= this.#replayNow().finally(() => (this.#replaying = undefined));
    return this.#replaying;
  }

  async #replayNow(): Promise<void> {
    try {
      const replayed = await withDeadline(
        this.host.clock,
        this.timeoutMs * 2,
        'replay',
        this.#journal.replay(this.inner),
      );
      this.#breaker.succeeded();
      this.#replayed += replayed;
    } catch (error) {
      throw this.#noteFailure(error);
    }
  }

  #armReplay(): void {
    if (this.#stopReplayTimer || this.#isClosed) return;
    this.#stopReplayTimer = this.host.clock.after(REPLAY_EVERY_MS, () => {
      this.#stopReplayTimer = undefined;
      // A failure was noted already; the journal is still there and the next turn tries again.
      this.#replay().then(
        () => undefined,
        () => this.#armReplay(),
      );
    });
  }

  #isEvicted(at: EntryAddress, entry: StoredEntry): boolean {
    return (
      this.#journal.size > 0 &&
      (this.#journal.coversPlace(at) || this.#journal.coversTags(at, entry))
    );
  }

  #noteFailure(error: unknown): unknown {
    if (isStorageFault(error)) this.#breaker.failed();
    else this.#breaker.succeeded();
    return error;
  }
}

/** Everything but the caller's own mistakes, which carry other codes. */
export function isStorageFault(error: unknown): boolean {
  return !(error instanceof CacheError) || error.code === 'STORAGE_UNAVAILABLE';
}
