import type { StoredEntry } from '../entry.js';
import { GLOBAL_SCOPE, type ScopePath } from '../scope.js';
import type { EntryAddress, OpenStorage } from '../storage.js';

/** Records at most; beyond, all are replaced by one that evicts everything, which is always safe. */
const RECORDS_MAX = 10_000;

/** An eviction that the storage has not confirmed. */
type JournalRecord =
  | { readonly kind: 'key'; readonly at: EntryAddress }
  | { readonly kind: 'scope'; readonly scope: ScopePath }
  | { readonly kind: 'tags'; readonly scope: ScopePath; readonly tags: readonly string[] };

/**
 * Evictions that could not reach the storage (P13): in force here at once, carried out there as soon as it answers again.
 * In memory: an eviction that is still here when the process ends is reported by `close`, and lost.
 */
export class EvictionJournal {
  readonly #records = new Map<string, JournalRecord>();

  get size(): number {
    return this.#records.size;
  }

  addKey(at: EntryAddress): void {
    this.#add(`k${at.scope.id}\n${at.key}`, { kind: 'key', at });
  }

  addScope(scope: ScopePath): void {
    this.#add(`s${scope.id}`, { kind: 'scope', scope });
  }

  addTags(scope: ScopePath, tags: readonly string[]): void {
    this.#add(`t${scope.id}\n${JSON.stringify(tags)}`, { kind: 'tags', scope, tags });
  }

  /** Whether an unconfirmed eviction covers the place, whatever is in it. */
  coversPlace(at: EntryAddress): boolean {
    for (const record of this.#records.values()) {
      if (record.kind === 'scope' && at.scope.isWithin(record.scope)) return true;
      if (record.kind === 'key' && record.at.key === at.key && record.at.scope.id === at.scope.id)
        return true;
    }
    return false;
  }

  /** Whether an unconfirmed eviction of tags covers the entry. */
  coversTags(at: EntryAddress, entry: StoredEntry): boolean {
    for (const record of this.#records.values())
      if (
        record.kind === 'tags' &&
        at.scope.isWithin(record.scope) &&
        record.tags.some((tag) => entry.tags.includes(tag))
      )
        return true;
    return false;
  }

  /** Carries the records out, oldest first; each leaves only when the storage has confirmed it. */
  async replay(storage: OpenStorage): Promise<number> {
    let replayed = 0;
    for (const [id, record] of this.#records) {
      if (record.kind === 'key') await storage.remove(record.at);
      else if (record.kind === 'scope') await storage.evictScope(record.scope);
      else await storage.evictTags(record.scope, record.tags);
      // Asked for again meanwhile, it is another record: what it should remove may have come after this.
      if (this.#records.get(id) === record) this.#records.delete(id);
      replayed++;
    }
    return replayed;
  }

  #add(id: string, record: JournalRecord): void {
    // Anew at the end: its place in the order is that of the latest request.
    this.#records.delete(id);
    if (this.#records.size >= RECORDS_MAX) {
      this.#records.clear();
      this.#records.set('s', { kind: 'scope', scope: GLOBAL_SCOPE });
    }
    this.#records.set(id, record);
  }
}
