import { counted } from '../../core/counting.js';
import type { Change } from '../../core/storage.js';
import type { Budget } from './budget.js';
import type { Commands } from './commands.js';
import type { Place } from './layout.js';
import type { Writer } from './writer.js';

interface Addition {
  readonly by: number;
  readonly ttlMs: number;
  readonly budget: Budget;
  readonly resolve: (total: number) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * `increment`: additions to one key that come while one is under way are made together in the next, so that a busy
 * counter costs one change for many callers. The map is empty when idle.
 */
export class Counters {
  readonly #waiting = new Map<string, Addition[]>();

  constructor(
    readonly writer: Writer,
    readonly commands: Commands,
  ) {}

  add(place: Place, by: number, ttlMs: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const addition = { by, ttlMs, budget: this.commands.budget(), resolve, reject };
      const waiting = this.#waiting.get(place.entryKey);
      if (waiting) waiting.push(addition);
      else this.#run(place, [addition]).catch(reject);
    });
  }

  async #run(place: Place, first: Addition[]): Promise<void> {
    const key = place.entryKey;
    for (let batch = first; batch.length > 0; batch = this.#waiting.get(key)!) {
      const next: Addition[] = [];
      this.#waiting.set(key, next);
      try {
        await this.#apply(place, batch);
      } catch (error) {
        // Those who wait would fail alike, each after a deadline of its own.
        this.#waiting.delete(key);
        for (const { reject } of [...batch, ...next]) reject(error);
        return;
      }
    }
    this.#waiting.delete(key);
  }

  async #apply(place: Place, batch: readonly Addition[]): Promise<void> {
    let start = 0;
    // The first has waited longest, and may not wait beyond its deadline for those that came after it.
    const { ttlMs, budget } = batch[0]!;
    const add: Change = (current) => {
      const { at } = place;
      start = current ? counted(at, current.value, 0) : 0;
      const value = batch.reduce((sum, { by }) => counted(at, sum, by), start);
      if (!current) return { write: { value, ttlMs, graceMs: 0, sliding: false, tags: [] } };
      const graceMs = current.staleUntil - current.freshUntil || 0;
      const { sliding, tags } = current;
      return { write: { value, ttlMs: current.ttlMs, graceMs, sliding, tags }, ttl: 'remaining' };
    };
    await this.writer.change(place, add, budget);
    for (const { by, resolve } of batch) resolve((start += by));
  }
}
