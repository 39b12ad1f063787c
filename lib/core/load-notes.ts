import type { Clock } from './clock.js';
import type { EntryAddress } from './storage.js';
import type { ScopePath } from './scope.js';

const NOTES_MAX = 10_000;

/** What is remembered of a failed load. */
export interface LoadNote {
  readonly at: EntryAddress;
  /** Thrown again instead of loading; `undefined` for a note that only slows retries down. */
  readonly failure: { readonly error: unknown } | undefined;
  /** The failure comes out although a stale value could serve. */
  readonly hidesStale: boolean;
}

/**
 * Failed loads worth remembering for a while: errors to throw again (`errorTtl`) and sources not to be asked again
 * just yet (`graceThrottle`). Of this process only. Each note leaves by itself; at most 10,000 are kept.
 */
export class LoadNotes {
  readonly #notes = new Map<string, LoadNote & { forget: () => void }>();

  constructor(readonly clock: Clock) {}

  get size(): number {
    return this.#notes.size;
  }

  find(id: string): LoadNote | undefined {
    return this.#notes.get(id);
  }

  keep(id: string, note: LoadNote, forMs: number): void {
    this.#drop(id);
    if (this.#notes.size >= NOTES_MAX) this.#drop(this.#notes.keys().next().value!);
    const forget = this.clock.after(forMs, () => this.#notes.delete(id));
    this.#notes.set(id, { ...note, forget });
  }

  /** What was written or removed may be well again. */
  voidKey(id: string): void {
    this.#drop(id);
  }

  /** The same for all that was evicted. */
  voidScope(scope: ScopePath): void {
    for (const [id, { at }] of this.#notes) if (at.scope.isWithin(scope)) this.#drop(id);
  }

  clear(): void {
    for (const id of this.#notes.keys()) this.#drop(id);
  }

  #drop(id: string): void {
    this.#notes.get(id)?.forget();
    this.#notes.delete(id);
  }
}
