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
  /** Something was evicted since it looked last. */
  isAskedAgain: boolean;
  readonly end: Promise<void>;
}

/** The list of the bucket's indexes whose entries wait. */
export function garbageOf({ base }: ScopeKeys): string {
  return `${base}g`;
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

  /** Resolves when all that waited has been reclaimed. */
  settle(scope: ScopeKeys): Promise<void> {
    return this.#run(scope).end;
  }

  /** Works on the bucket's list, beside whoever else does, until `ask` has an answer. */
  async until<T>(scope: ScopeKeys, ask: () => Promise<T | null>): Promise<T> {
    const until = this.#patience();
    for (;;) {
      const answer = await ask();
      if (answer !== null) return answer;
      await this.#step(scope);
      this.#checkPatience(until);
    }
  }

  /** No more batches; those under way end by their own deadline. */
  close(): void {
    this.#isClosed = true;
  }

  #run(scope: ScopeKeys): Run {
    const running = this.#runs.get(scope.bucket);
    if (running) {
      running.isAskedAgain = true;
      return running;
    }
    const run = { isAskedAgain: true, end: Promise.resolve() };
    this.#runs.set(scope.bucket, run);
    run.end = this.#work(scope, run);
    return run;
  }

  async #work(scope: ScopeKeys, run: Run): Promise<void> {
    const until = this.#patience();
    try {
      for (let left = 1; (left > 0 || run.isAskedAgain) && !this.#isClosed;) {
        run.isAskedAgain = false;
        left = await this.#step(scope);
        this.#checkPatience(until);
      }
    } finally {
      // In the step of the last look: whoever evicts after it begins a new run.
      this.#runs.delete(scope.bucket);
    }
  }

  /** How many indexes are left. */
  async #step(scope: ScopeKeys): Promise<number> {
    const args = [BATCH, this.clock.now()];
    return (await this.commands.run(RECLAIM, scope, [garbageOf(scope)], args)) as number;
  }

  #patience(): number {
    return this.host.clock.monotonic() + PATIENCE_MS;
  }

  #checkPatience(until: number): void {
    if (this.host.clock.monotonic() > until)
      throw new StorageUnavailableError(
        `Redis: evicted entries could not be reclaimed within ${PATIENCE_MS / 1000} s; the next eviction goes on with it.`,
      );
  }
}
