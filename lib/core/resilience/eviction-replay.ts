import { CacheError } from '../errors.js';
import { isRefusal, isStorageFault } from '../storage-faults.js';
import type { OpenStorage, StorageHost } from '../storage.js';
import type { CircuitBreaker } from './circuit-breaker.js';
import { withDeadline } from './deadline.js';
import { EvictionJournal } from './eviction-journal.js';

/** How often unconfirmed evictions are tried again without a caller asking. */
const REPLAY_EVERY_MS = 500;

/** Carries out what is journaled (P13): when a caller needs it, from time to time, and once more at the end. */
export class EvictionReplay {
  readonly journal = new EvictionJournal();
  #replayed = 0;
  #replaying: Promise<void> | undefined;
  #stopTimer: (() => void) | undefined;
  #isClosed = false;

  constructor(
    readonly storage: OpenStorage,
    readonly host: StorageHost,
    readonly timeoutMs: number,
    readonly breaker: CircuitBreaker,
  ) {}

  /** Evictions that the storage has confirmed since they failed at first. */
  get replayed(): number {
    return this.#replayed;
  }

  /** @param note adds to the journal what failed */
  keep(note: (journal: EvictionJournal) => void): void {
    note(this.journal);
    this.#arm();
  }

  /** Rejects with the first failure; what failed stays in the journal. Whoever asks while one is under way joins it. */
  run(): Promise<void> {
    this.#replaying ??= this.#runNow().finally(() => (this.#replaying = undefined));
    return this.#replaying;
  }

  /** Tries once more to deliver what is journaled, then says what was lost. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopTimer?.();
    if (this.journal.size === 0) return;
    await this.run().catch((error: unknown) => {
      const lost = new CacheError(
        'STORAGE_UNAVAILABLE',
        `${this.journal.size} evictions never reached the storage; they are lost with this process.`,
        { cause: error },
      );
      this.host.listener.onFault?.({ during: 'close', storage: this.storage.type, error: lost });
    });
  }

  async #runNow(): Promise<void> {
    let isOver = false;
    const before = this.breaker.successes;
    try {
      const replayed = await withDeadline(
        this.host.clock,
        this.timeoutMs * 2,
        'replay',
        this.journal.replay(this.storage, () => isOver),
      );
      this.breaker.succeeded();
      this.#replayed += replayed;
    } catch (error) {
      if (isStorageFault(error) && !isRefusal(error)) this.breaker.failed(before);
      else this.breaker.succeeded();
      throw error;
    } finally {
      isOver = true;
    }
  }

  #arm(): void {
    if (this.#stopTimer || this.#isClosed) return;
    this.#stopTimer = this.host.clock.after(REPLAY_EVERY_MS, () => {
      this.#stopTimer = undefined;
      // A failure was noted already; the journal is still there and the next turn tries again.
      this.run().then(
        () => undefined,
        () => this.#arm(),
      );
    });
  }
}
