import type { ScopePath } from '../../core/scope.js';
import type { MemoryRecord } from './memory-record.js';

/**
 * Writes that wait for asynchronous rules. What is written, removed or evicted meanwhile is newer than they are, so they do
 * not come in any more (P5). Empty while no rule thinks.
 */
export class WaitingWrites {
  /** In the order in which they were begun. */
  readonly #records = new Map<MemoryRecord, 'waiting' | 'overtaken'>();

  add(record: MemoryRecord): void {
    this.#records.set(record, 'waiting');
  }

  /** For each without a condition that would come in now, whether or not it had to wait. `false`: it was overtaken. */
  take(record: MemoryRecord): boolean {
    if (this.#records.size === 0) return true;
    const isOvertaken = this.#records.get(record) === 'overtaken';
    if (!isOvertaken) this.overtakeKey(record.scope, record.key, record);
    this.#records.delete(record);
    return !isOvertaken;
  }

  /** @param by only what was begun before it; all that waits, where it did not have to wait itself */
  overtakeKey(scope: ScopePath, key: string, by?: MemoryRecord): void {
    for (const record of this.#records.keys()) {
      if (record === by) return;
      if (record.key === key && record.scope.id === scope.id)
        this.#records.set(record, 'overtaken');
    }
  }

  /** @param tags only what carries one of them */
  overtakeIn(scope: ScopePath, tags?: readonly string[]): void {
    for (const record of this.#records.keys()) {
      const isMeant = tags === undefined || tags.some((tag) => record.tags.includes(tag));
      if (isMeant && record.scope.isWithin(scope)) this.#records.set(record, 'overtaken');
    }
  }
}
