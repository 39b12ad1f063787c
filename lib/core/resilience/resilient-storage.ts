import type { NewEntry, StoredEntry } from '../entry.js';
import { isPromise } from '../guard.js';
import { GLOBAL_SCOPE, type ScopePath } from '../scope.js';
import { isRefusal, isStorageFault } from '../storage-faults.js';
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
import { withDeadline } from './deadline.js';
import type { EvictionJournal } from './eviction-journal.js';
import { EvictionReplay } from './eviction-replay.js';
import { resilientLeases } from './resilient-leases.js';
import { TimedChange } from './timed-change.js';

/** Operations over a whole scope may take this many times longer than one on a single entry. */
const WIDE_FACTOR = 20;
/** So many entries at once take no longer than one, by and large; more of them have as much more time, up to the above. */
const ENTRIES_PER_DEADLINE = 64;
/** Whether unconfirmed evictions concern what is about to be done. Asked only when there are any. */
type Concern = () => boolean;
/** Adds to the journal what failed. */
type Note = (journal: EvictionJournal) => void;

/**
 * A storage that may be slow or away, made safe to wait for (P12, P13): every operation has a deadline and passes a
 * circuit breaker; evictions that fail are journaled, in force here at once, and carried out before anything that they
 * concern is let through again, so that no read sees what an unconfirmed eviction should have removed. What they do not
 * concern goes on: it may be on another server, which answers.
 *
 * Operations still reject when they fail; what that means for the caller is decided in `CacheWriter.degrade`.
 */
export class ResilientStorage implements OpenStorage {
  readonly type: string;
  readonly holds: 'values' | 'bytes';
  readonly leases?: Leases;
  readonly #breaker: CircuitBreaker;
  readonly #replay: EvictionReplay;
  readonly #journal: EvictionJournal;
  #isClosed = false;

  constructor(
    readonly inner: OpenStorage,
    readonly host: StorageHost,
    readonly timeoutMs: number,
  ) {
    this.type = inner.type;
    this.holds = inner.holds;
    this.#breaker = new CircuitBreaker(host.clock);
    this.#replay = new EvictionReplay(inner, host, timeoutMs, this.#breaker);
    this.#journal = this.#replay.journal;
    if (inner.leases)
      this.leases = resilientLeases(
        inner.leases,
        (during, at, work) => this.#guard(during, this.#at(at), work),
        host.listener,
      );
  }

  /** What every hit goes through: as `#guard`, without its closures and promises while there is nothing to replay. */
  async read(at: EntryAddress, options?: ReadOptions): Promise<StoredEntry | undefined> {
    const before = this.#breaker.admit('read');
    try {
      const work = (): Awaitable<StoredEntry | undefined> => this.inner.read(at, options);
      const entry =
        this.#journal.size > 0 && this.#journal.concernsPlace(at)
          ? await this.#afterReplay('read', work, this.timeoutMs)
          : await this.#timed('read', work(), this.timeoutMs);
      this.#breaker.succeeded();
      return entry && this.#isEvicted(at, entry) ? undefined : entry;
    } catch (error) {
      throw this.#noteFailure(error, before);
    }
  }

  async readMany(
    at: readonly EntryAddress[],
    options?: ReadOptions,
  ): Promise<(StoredEntry | undefined)[]> {
    const entries = await this.#guard(
      'readMany',
      this.#atAny(at),
      () => this.inner.readMany(at, options),
      factorFor(at.length),
    );
    return entries.map((entry, index) =>
      entry && this.#isEvicted(at[index]!, entry) ? undefined : entry,
    );
  }

  /** A write that failed may or may not have happened; what it should have replaced must not be read again. */
  write(at: EntryAddress, entry: NewEntry, options?: WriteOptions): Promise<boolean> {
    return this.#unlessGivenUp(options, (wanted) =>
      this.#orJournal(
        'write',
        this.#at(at),
        () => this.inner.write(at, entry, wanted),
        (journal) => journal.addKey(at),
      ),
    );
  }

  writeMany(
    items: readonly (readonly [EntryAddress, NewEntry])[],
    options?: WriteOptions,
  ): Promise<void> {
    const note: Note = (journal) => items.forEach(([at]) => journal.addKey(at));
    return this.#unlessGivenUp(options, (wanted) =>
      this.#orJournal(
        'writeMany',
        this.#atAny(items.map(([at]) => at)),
        () => this.inner.writeMany(items, wanted),
        note,
        factorFor(items.length),
      ),
    );
  }

  remove(at: EntryAddress): Promise<boolean> {
    return this.#orJournal(
      'remove',
      this.#at(at),
      () => this.inner.remove(at),
      (journal) => journal.addKey(at),
    );
  }

  removeMany(at: readonly EntryAddress[]): Promise<number> {
    const note: Note = (journal) => at.forEach((one) => journal.addKey(one));
    const remove = (): Awaitable<number> => this.inner.removeMany(at);
    return this.#orJournal('removeMany', this.#atAny(at), remove, note, factorFor(at.length));
  }

  touch(at: EntryAddress, ttlMs: number): Promise<boolean> {
    return this.#guard('touch', this.#at(at), () => this.inner.touch(at, ttlMs));
  }

  /** The caller's function may take its time; the storage may not. */
  async change(at: EntryAddress, change: Change): Promise<ChangeResult> {
    const note: Note = (journal) => journal.addKey(at);
    const before = this.#admit('change', note);
    const timed = new TimedChange(this.host.clock, this.timeoutMs * 2, change);
    try {
      if (this.#journal.size > 0 && this.#journal.concernsPlace(at))
        await this.#afterReplay('change', () => undefined, this.timeoutMs);
      const result = await timed.run(
        (timedChange) => this.inner.change(at, timedChange),
        this.inner.keepsDeadlines === true,
      );
      this.#breaker.succeeded();
      return result;
    } catch (error) {
      // The caller's own mistake: the storage has answered, and nothing of it is journaled.
      if (timed.ownError && timed.ownError.error === error) this.#breaker.succeeded();
      else this.#noteFailure(error, before);
      if (timed.ownError) throw timed.ownError.error;
      if (isStorageFault(error)) this.#replay.keep(note);
      throw error;
    }
  }

  increment(at: EntryAddress, by: number, ttlMs: number): Promise<number> {
    return this.#guard('increment', this.#at(at), () => this.inner.increment(at, by, ttlMs));
  }

  evictScope(scope: ScopePath): Promise<number> {
    return this.#orJournal(
      'evictScope',
      this.#in(scope),
      () => this.inner.evictScope(scope),
      (journal) => journal.addScope(scope),
      WIDE_FACTOR,
    );
  }

  evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    return this.#orJournal(
      'evictTags',
      this.#in(scope),
      () => this.inner.evictTags(scope, tags),
      (journal) => journal.addTags(scope, tags),
      WIDE_FACTOR,
    );
  }

  /** What cannot be marked stale is evicted when the storage is back: less is served, never something older. */
  expire(scope: ScopePath, tags: readonly string[] | undefined): Promise<number> {
    const note: Note = (journal) => (tags ? journal.addTags(scope, tags) : journal.addScope(scope));
    const expire = (): Awaitable<number> => this.inner.expire(scope, tags);
    return this.#orJournal('expire', this.#in(scope), expire, note, WIDE_FACTOR);
  }

  clear(): Promise<void> {
    return this.#orJournal(
      'clear',
      this.#in(GLOBAL_SCOPE),
      () => this.inner.clear(),
      (journal) => journal.addScope(GLOBAL_SCOPE),
      WIDE_FACTOR,
    );
  }

  async *list(scope: ScopePath, options: ListOptions): AsyncGenerator<ListedEntry> {
    const lines = this.inner.list(scope, options)[Symbol.asyncIterator]();
    let isGivenUp = false;
    const step = (): Promise<IteratorResult<ListedEntry>> =>
      this.#guard('list', this.#in(scope), () => lines.next(), WIDE_FACTOR).catch(
        (error: unknown) => {
          isGivenUp = true;
          throw error;
        },
      );
    try {
      for (let next = await step(); !next.done; next = await step())
        if (!this.#isEvicted(next.value.address, next.value.entry)) yield next.value;
    } finally {
      const ending = lines.return?.();
      // It comes after the step that was given up, which may never end.
      if (isGivenUp) ending?.catch(ignoreHere);
      else await ending;
    }
  }

  count(scope: ScopePath): Promise<number> {
    return this.#guard('count', this.#in(scope), () => this.inner.count(scope), WIDE_FACTOR);
  }

  removeExpired(): Promise<number> {
    const remove = (): Awaitable<number> => this.inner.removeExpired();
    return this.#guard('removeExpired', this.#in(GLOBAL_SCOPE), remove, WIDE_FACTOR * 10);
  }

  removeIdle(scope: ScopePath, idleMs: number): Promise<number> {
    const remove = (): Awaitable<number> => this.inner.removeIdle(scope, idleMs);
    return this.#guard('removeIdle', this.#in(scope), remove, WIDE_FACTOR * 10);
  }

  figures(): Readonly<Record<string, number>> {
    return {
      ...this.inner.figures?.(),
      journaledEvictions: this.#journal.size,
      replayedEvictions: this.#replay.replayed,
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
    await this.#replay.close();
    await withDeadline(
      this.host.clock,
      this.timeoutMs * WIDE_FACTOR,
      'close',
      Promise.resolve(this.inner.close()),
    );
  }

  #at(at: EntryAddress): Concern {
    return () => this.#journal.concernsPlace(at);
  }

  #atAny(at: readonly EntryAddress[]): Concern {
    return () => at.some((one) => this.#journal.concernsPlace(one));
  }

  #in(scope: ScopePath): Concern {
    return () => this.#journal.concernsScope(scope);
  }

  /**
   * Once its caller has been told that a write failed, it must not be done any more where that can be helped: somebody else
   * may have deleted the key since. A storage with deadlines of its own sees to that itself.
   */
  async #unlessGivenUp<T>(
    options: WriteOptions | undefined,
    write: (options: WriteOptions | undefined) => Promise<T>,
  ): Promise<T> {
    if (this.inner.keepsDeadlines === true) return write(options);
    let isOver = false;
    const stillValid = (): boolean => !isOver && options?.stillValid?.() !== false;
    try {
      return await write({ ...options, stillValid });
    } finally {
      isOver = true;
    }
  }

  /** As {@link #guard}; what fails is journaled. */
  #orJournal<T>(
    during: string,
    isConcerned: Concern,
    work: () => Awaitable<T>,
    note: Note,
    factor = 1,
  ): Promise<T> {
    return this.#guard(during, isConcerned, work, factor, note);
  }

  async #guard<T>(
    during: string,
    isConcerned: Concern,
    work: () => Awaitable<T>,
    factor = 1,
    note?: Note,
  ): Promise<T> {
    const before = this.#admit(during, note);
    const ms = this.timeoutMs * factor;
    try {
      const result =
        this.#journal.size > 0 && isConcerned()
          ? await this.#afterReplay(during, work, ms)
          : await this.#timed(during, work(), ms);
      this.#breaker.succeeded();
      return result;
    } catch (error) {
      if (note && isStorageFault(error)) this.#replay.keep(note);
      throw this.#noteFailure(error, before);
    }
  }

  /** A refused call is no failure: it must not keep the circuit open. */
  #admit(during: string, note: Note | undefined): number {
    try {
      return this.#breaker.admit(during);
    } catch (error) {
      if (note) this.#replay.keep(note);
      throw error;
    }
  }

  /** A storage with deadlines of its own is spared a second timer for each operation. */
  #timed<T>(during: string, work: Awaitable<T>, ms: number): Awaitable<T> {
    return this.inner.keepsDeadlines === true || !isPromise(work)
      ? work
      : withDeadline(this.host.clock, ms, during, work);
  }

  /**
   * Nothing that it concerns is let through before the journal is delivered, which may take half of a single operation's
   * time: what began later might come too late for its caller, and change something all the same.
   */
  async #afterReplay<T>(during: string, work: () => Awaitable<T>, ms: number): Promise<T> {
    const { clock } = this.host;
    const start = clock.monotonic();
    await withDeadline(clock, this.timeoutMs / 2, during, this.#replay.run());
    return this.#timed(during, work(), ms - (clock.monotonic() - start));
  }

  #isEvicted(at: EntryAddress, entry: StoredEntry): boolean {
    return (
      this.#journal.size > 0 &&
      (this.#journal.coversPlace(at) || this.#journal.coversTags(at, entry))
    );
  }

  #noteFailure(error: unknown, before: number): unknown {
    if (isStorageFault(error) && !isRefusal(error)) this.#breaker.failed(before);
    else this.#breaker.succeeded();
    return error;
  }
}

function ignoreHere(): void {}

function factorFor(entries: number): number {
  return Math.min(WIDE_FACTOR, Math.max(1, Math.ceil(entries / ENTRIES_PER_DEADLINE)));
}
