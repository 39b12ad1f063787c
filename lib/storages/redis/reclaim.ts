import { StorageUnavailableError } from '../../core/errors.js';
import type { StorageHost } from '../../core/storage.js';
import type { Commands } from './commands.js';
import type { ScopeKeys } from './layout.js';
import { RECLAIM } from './node-scripts.js';
import type { ServerClock } from './server-clock.js';

/** Entries in one step: 1 to 2 ms of the server's time, even on a busy machine. */
const BATCH = 50;
/** How long an exact count waits for earlier large evictions to be reclaimed. */
const PATIENCE_MS = 60_000;

/** One run over a bucket's garbage list. */
interface Run {
  /** Entries of queued indexes that were removed, by index. */
  readonly dropped: Map<string, number>;
  readonly end: Promise<void>;
}

/**
 * Gives back the space of evicted entries, batch by batch, in the background. Whoever evicts starts it; a process that
 * dies in between leaves the list to the next one that evicts, counts or sweeps, and to native expiry.
 */
export class Reclaim {
  /** By bucket; empty when idle. */
  readonly #runs = new Map<number, Run>();
  #isClosed = false;

  constructor(
    readonly host: StorageHost,
    readonly commands: Commands,
    readonly clock: ServerClock,
  ) {}

  get running(): number {
    return this.#runs.size;
  }

  /** Starts, unless it runs already, and does not wait. */
  start(scope: ScopeKeys): void {
    this.#run(scope).end.catch((error: unknown) => {
      this.host.listener.onFault?.({ during: 'reclaim', storage: 'redis', error });
    });
  }

  /** Resolves when nothing waits to be reclaimed in the bucket any more; to what was dropped of each index here. */
  async settle(scope: ScopeKeys): Promise<ReadonlyMap<string, number>> {
    const run = this.#run(scope);
    await run.end;
    return run.dropped;
  }

  /** Removes until the named index is the first in the list, so that what it still holds was alive before its eviction. */
  async settleUpTo(scope: ScopeKeys, index: string): Promise<void> {
    const until = this.host.clock.monotonic() + PATIENCE_MS;
    for (;;) {
      const first = (await this.commands.first(scope)) ?? index;
      if (first === index) return;
      await this.#step(scope, new Map());
      this.#checkPatience(until);
    }
  }

  /** No more batches; those under way end by their own deadline. */
  close(): void {
    this.#isClosed = true;
  }

  #run(scope: ScopeKeys): Run {
    const running = this.#runs.get(scope.bucket);
    if (running) return running;
    const dropped = new Map<string, number>();
    const end = this.#work(scope, dropped).finally(() => this.#runs.delete(scope.bucket));
    const run: Run = { dropped, end };
    this.#runs.set(scope.bucket, run);
    return run;
  }

  async #work(scope: ScopeKeys, dropped: Map<string, number>): Promise<void> {
    const until = this.host.clock.monotonic() + PATIENCE_MS;
    while (!this.#isClosed && (await this.#step(scope, dropped)) > 0) this.#checkPatience(until);
  }

  /** How many indexes are left. */
  async #step(scope: ScopeKeys, dropped: Map<string, number>): Promise<number> {
    const reply = await this.commands.run(
      RECLAIM,
      scope,
      [`${scope.base}g`],
      [BATCH, this.clock.now()],
    );
    const [left, index, count] = reply as [number, string?, number?];
    if (index !== undefined) dropped.set(index, (dropped.get(index) ?? 0) + (count ?? 0));
    return left;
  }

  #checkPatience(until: number): void {
    if (this.host.clock.monotonic() > until)
      throw new StorageUnavailableError(
        `Redis: evicted entries could not be reclaimed within ${PATIENCE_MS / 1000} s; the next eviction goes on with it.`,
      );
  }
}
