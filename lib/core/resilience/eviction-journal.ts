import type { StoredEntry } from '../entry.js';
import { GLOBAL_SCOPE, type ScopePath } from '../scope.js';
import type { EntryAddress, OpenStorage } from '../storage.js';

/** Records at most; beyond, all are replaced by one that evicts everything, which is always safe. */
const RECORDS_MAX = 10_000;
/** Records that may fail in one pass over the journal: some of a storage's servers may be away while others answer. */
const FAILURES_PER_PASS = 16;

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
    this.#add(keyId(at), { kind: 'key', at });
  }

  addScope(scope: ScopePath): void {
    this.#add(scopeId(scope), { kind: 'scope', scope });
  }

  addTags(scope: ScopePath, tags: readonly string[]): void {
    this.#add(`t${scope.id}\n${JSON.stringify(tags)}`, { kind: 'tags', scope, tags });
  }

  /** Whether an unconfirmed eviction covers the place, whatever is in it. */
  coversPlace(at: EntryAddress): boolean {
    return (
      this.#records.has(keyId(at)) ||
      at.scope.lineage().some((scope) => this.#records.has(scopeId(scope)))
    );
  }

  /** Whether one covers the place, or may cover what is in it by its tags. */
  concernsPlace(at: EntryAddress): boolean {
    return this.coversPlace(at) || this.#hasTagsAround(at.scope);
  }

  /** Whether one covers anything within the scope, or the scope itself. */
  concernsScope(scope: ScopePath): boolean {
    for (const record of this.#records.values()) {
      const place = record.kind === 'key' ? record.at.scope : record.scope;
      if (place.isWithin(scope) || (record.kind !== 'key' && scope.isWithin(place))) return true;
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

  /**
   * Carries the records out, oldest first; each leaves only when the storage has confirmed it. One that fails goes to the
   * end, so that it does not hold up those for servers that answer: evictions may happen in any order.
   * @param isOver whether to stop, because nobody waits for it any more
   * @throws by rejecting, the first failure
   */
  async replay(storage: OpenStorage, isOver = (): boolean => false): Promise<number> {
    let replayed = 0;
    const failures = new Map<JournalRecord, unknown>();
    for (const [id, record] of this.#records) {
      if (isOver() || failures.has(record) || failures.size >= FAILURES_PER_PASS) break;
      try {
        await carryOut(record, storage);
        replayed++;
        // Asked for again meanwhile, it is another record: what it should remove may have come after this.
        if (this.#records.get(id) === record) this.#records.delete(id);
      } catch (error) {
        failures.set(record, error);
        const current = this.#records.get(id);
        if (current && this.#records.delete(id)) this.#records.set(id, current);
      }
    }
    for (const [, error] of failures) throw error;
    return replayed;
  }

  #hasTagsAround(scope: ScopePath): boolean {
    for (const record of this.#records.values())
      if (record.kind === 'tags' && scope.isWithin(record.scope)) return true;
    return false;
  }

  #add(id: string, record: JournalRecord): void {
    // Anew at the end: its place in the order is that of the latest request.
    this.#records.delete(id);
    if (this.#records.size >= RECORDS_MAX) {
      this.#records.clear();
      this.#records.set(scopeId(GLOBAL_SCOPE), { kind: 'scope', scope: GLOBAL_SCOPE });
    }
    this.#records.set(id, record);
  }
}

function keyId({ scope, key }: EntryAddress): string {
  return `k${scope.id}\n${key}`;
}

function scopeId(scope: ScopePath): string {
  return `s${scope.id}`;
}

async function carryOut(record: JournalRecord, storage: OpenStorage): Promise<void> {
  if (record.kind === 'key') await storage.remove(record.at);
  else if (record.kind === 'scope') await storage.evictScope(record.scope);
  else await storage.evictTags(record.scope, record.tags);
}
