import type { NewEntry, StoredEntry } from '../../core/entry.js';
import { Flights, type Flight } from '../../core/flights.js';
import { isPromise } from '../../core/guard.js';
import { GLOBAL_SCOPE, type ScopePath } from '../../core/scope.js';
import type { Awaitable, EntryAddress, OpenStorage, StorageHost } from '../../core/storage.js';
import type { Change } from './bus-message.js';

/** A copy from far to near under way. A change to its place meanwhile voids it (P5). */
export type Fill = Flight<void>;

/** How copies come into the near tier, and what takes them out again. */
export class NearCopies {
  readonly #fills = new Flights<void>();

  constructor(
    readonly tier: OpenStorage,
    readonly host: StorageHost,
  ) {}

  get underWay(): number {
    return this.#fills.size;
  }

  /** To be called before the far tier is asked. */
  begin(at: EntryAddress): Fill {
    return this.#fills.start(at, '');
  }

  end(fill: Fill): void {
    this.#fills.end(fill);
  }

  /** Takes in what was read. */
  fill(fill: Fill, entry: StoredEntry): void {
    if (fill.isFencedFor(entry.tags)) return;
    const ttlMs = entry.freshUntil - this.now();
    if (ttlMs <= 0) return;
    const graceMs = entry.staleUntil === Infinity ? 0 : entry.staleUntil - entry.freshUntil;
    const { value, sliding, tags, loadMs } = entry;
    const copy = { value, ttlMs, graceMs, sliding, tags };
    this.#write(fill.at, loadMs === undefined ? copy : { ...copy, loadMs });
  }

  /**
   * Takes in what was written. Its life begins when the far tier was asked, so that it cannot end later than the far entry's.
   * @param sentAt {@link now} before that
   */
  keep(fill: Fill, whole: NewEntry, sentAt: number): void {
    const { remainingMs = whole.ttlMs, ...entry } = whole;
    const ttlMs = remainingMs - (this.now() - sentAt);
    if (ttlMs > 0 && !fill.isFencedFor(entry.tags)) this.#write(fill.at, { ...entry, ttlMs });
  }

  /** Monotonic ms. */
  now(): number {
    return this.host.clock.monotonic();
  }

  /** The far tier has none. */
  remove(at: EntryAddress): void {
    this.#watch(this.tier.remove(at));
  }

  /** Something newer comes into this place. */
  voidFills(at: EntryAddress): void {
    this.#fills.voidKey(at);
  }

  /** Something may have been missed: nothing that is on its way may arrive. */
  voidAllFills(): void {
    this.#fills.voidScope(GLOBAL_SCOPE);
  }

  /** What a change, here or elsewhere, made old. */
  drop(change: Change): void {
    if (change.kind === 'keys') change.at.forEach((at) => this.dropKey(at));
    else if (change.kind === 'tags') this.dropTags(change.scope, change.tags);
    else this.dropScope(change.kind === 'scope' ? change.scope : GLOBAL_SCOPE);
  }

  dropKey(at: EntryAddress): void {
    this.#fills.voidKey(at);
    this.remove(at);
  }

  dropScope(scope: ScopePath): void {
    this.#fills.voidScope(scope);
    this.#watch(this.tier.evictScope(scope));
  }

  dropTags(scope: ScopePath, tags: readonly string[]): void {
    this.#fills.suspectTags(scope, tags);
    this.#watch(this.tier.evictTags(scope, tags));
  }

  /** Sliding entries stay out: a near hit would not renew the far entry's life. */
  #write(at: EntryAddress, entry: NewEntry): void {
    if (entry.sliding) return;
    this.#watch(this.tier.write(at, entry));
  }

  /** Nobody waits for the near tier, so nobody else would hear. */
  #watch(done: Awaitable<unknown>): void {
    if (!isPromise(done)) return;
    done.catch((error: unknown) =>
      this.host.listener.onFault?.({ during: 'near', storage: this.tier.type, error }),
    );
  }
}
