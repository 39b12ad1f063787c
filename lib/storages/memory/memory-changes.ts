import type { NewEntry, StoredEntry } from '../../core/entry.js';
import { counted } from '../../core/counting.js';
import { isPromise } from '../../core/guard.js';
import type { Awaitable, Change, ChangeResult, EntryAddress } from '../../core/storage.js';
import type { MemoryRecord } from './memory-record.js';
import type { MemoryTable } from './memory-table.js';
import type { MemoryWrites } from './memory-writes.js';

/** Changes of single entries that depend on what is there: thought out anew for as long as others are faster. */
export class MemoryChanges {
  readonly #table: MemoryTable;
  readonly #writes: MemoryWrites;

  constructor(table: MemoryTable, writes: MemoryWrites) {
    this.#table = table;
    this.#writes = writes;
  }

  change(at: EntryAddress, change: Change): Awaitable<ChangeResult> {
    const current = this.#table.liveAt(at.scope, at.key);
    const result = change(current);
    if (isPromise(result)) return this.#changeLater(at, change, current, result);
    const applied = this.#applyChange(at, current, result);
    if (isPromise(applied))
      return applied.then((done) => (done ? result : this.#changeAnew(at, change)));
    return applied ? result : this.#changeAnew(at, change);
  }

  increment(at: EntryAddress, by: number, ttlMs: number): Awaitable<number> {
    let sum = 0;
    const changed = this.change(at, (current) => {
      sum = counted(at, current ? current.value : 0, by);
      if (!current) return { write: { value: sum, ttlMs, graceMs: 0, sliding: false, tags: [] } };
      const { graceMs, sliding, tags } = current as MemoryRecord;
      return { write: { value: sum, ttlMs, graceMs, sliding, tags }, ttl: 'remaining' };
    });
    return isPromise(changed) ? changed.then(() => sum) : sum;
  }

  async #changeLater(
    at: EntryAddress,
    change: Change,
    first: StoredEntry | undefined,
    pending: Promise<ChangeResult>,
  ): Promise<ChangeResult> {
    const { watches } = this.#writes;
    const watch = watches.open(at);
    try {
      const result = await pending;
      const isOvertaken = watch.isOvertaken || this.#table.liveAt(at.scope, at.key) !== first;
      if (!isOvertaken && (await this.#applyChange(at, first, result))) return result;
    } finally {
      watches.close(watch);
    }
    return this.#changeAnew(at, change);
  }

  /** Another writer was faster while the change, or a rule, was thinking: think again about what is there now. */
  async #changeAnew(at: EntryAddress, change: Change): Promise<ChangeResult> {
    return this.change(at, change);
  }

  /** `false`: another writer was faster while a rule was thinking, and nothing was written. */
  #applyChange(
    at: EntryAddress,
    current: StoredEntry | undefined,
    result: ChangeResult,
  ): Awaitable<boolean> {
    if (!('write' in result)) return true;
    if (result.stillValid?.() === false) return false;
    result.beforeWrite?.();
    const endsWith = result.ttl === 'remaining' ? (current as MemoryRecord | undefined) : undefined;
    if (this.#writes.hasRules) return this.#insertUnlessOvertaken(at, current, result, endsWith);
    const written = this.#writes.insert(at, result.write, undefined, endsWith);
    return isPromise(written) ? written.then(() => true) : true;
  }

  #insertUnlessOvertaken(
    at: EntryAddress,
    current: StoredEntry | undefined,
    { write, stillValid: isWanted }: Extract<ChangeResult, { write: NewEntry }>,
    endsWith: MemoryRecord | undefined,
  ): Awaitable<boolean> {
    const { watches } = this.#writes;
    const watch = watches.open(at);
    let isOvertaken = false;
    const stillValid = (): boolean => {
      isOvertaken =
        watch.isOvertaken ||
        this.#table.liveAt(at.scope, at.key) !== current ||
        isWanted?.() === false;
      return !isOvertaken;
    };
    const written = this.#writes.insert(at, write, { stillValid }, endsWith);
    if (isPromise(written))
      return written.then(() => !isOvertaken).finally(() => watches.close(watch));
    watches.close(watch);
    return !isOvertaken;
  }
}
