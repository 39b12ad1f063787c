import type { EntryAddress } from './storage.js';
import type { ScopePath } from './scope.js';

/**
 * One load of one key under way in this process: what waiters join, and the local half of the fence (P5).
 * Voiding it does not stop the load; its result goes to those who already wait, and is never stored.
 */
export class Flight<R> {
  readonly result: Promise<R>;
  /** Something newer than what this load may have read has happened to its key. */
  isVoid = false;
  /** Its loader failed and said that no stale value may stand in for its answer. */
  hidesStale = false;
  /** It waited for the storage in vain: whoever has to begin anew after it does without the storage (P12). */
  isAway = false;
  /** The number of the last caller who joined it; 0 when nobody has. */
  lastJoined = 0;
  #evictedTags: Set<string> | undefined;
  #resolve!: (result: R) => void;
  #reject!: (reason: unknown) => void;

  constructor(
    readonly at: EntryAddress,
    readonly id: string,
    /** Tags that its result will carry for certain; a loader may add others. */
    readonly knownTags: readonly string[],
  ) {
    this.result = new Promise<R>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Waiters see the rejection through their own await; a flight nobody waits for must not count as unhandled.
    this.result.catch(ignoreHere);
  }

  /** Whether tags were evicted here since it took off; which of them matter is known only when it lands. */
  get isSuspect(): boolean {
    return this.#evictedTags !== undefined;
  }

  /** Whether anything has happened that may concern it. */
  get isOutdated(): boolean {
    return this.isVoid || this.isSuspect;
  }

  suspect(tags: readonly string[]): void {
    this.#evictedTags ??= new Set();
    for (const tag of tags) this.#evictedTags.add(tag);
  }

  /** Whether a result with these tags must not be stored. */
  isFencedFor(tags: readonly string[]): boolean {
    return (
      this.isVoid ||
      (this.#evictedTags !== undefined && tags.some((tag) => this.#evictedTags!.has(tag)))
    );
  }

  land(result: R): void {
    this.#resolve(result);
  }

  crash(reason: unknown): void {
    this.#reject(reason);
  }
}

function ignoreHere(): void {}

/**
 * The loads under way in this process. Everything here is empty when nothing loads (P16).
 * Voiding costs O(loads under way), which is why evicting a scope needs no index of them.
 */
export class Flights<R> {
  /** The flight that a new reader may join, by id. */
  readonly #joinable = new Map<string, Flight<R>>();
  /** Also those that may no longer be joined but have not landed. */
  readonly #airborne = new Set<Flight<R>>();

  get isIdle(): boolean {
    return this.#airborne.size === 0;
  }

  get size(): number {
    return this.#airborne.size;
  }

  find(id: string): Flight<R> | undefined {
    return this.#joinable.get(id);
  }

  start(at: EntryAddress, id: string, knownTags: readonly string[] = []): Flight<R> {
    const flight = new Flight<R>(at, id, knownTags);
    this.#joinable.set(id, flight);
    this.#airborne.add(flight);
    return flight;
  }

  /** Lets the next caller start anew; the flight itself goes on. */
  detach(flight: Flight<R>): void {
    if (this.#joinable.get(flight.id) === flight) this.#joinable.delete(flight.id);
  }

  end(flight: Flight<R>): void {
    this.detach(flight);
    this.#airborne.delete(flight);
  }

  /** The key was written or removed. */
  voidKey(at: EntryAddress): void {
    if (this.#airborne.size === 0) return;
    for (const flight of this.#airborne)
      if (flight.at.key === at.key && samePlace(flight.at.scope, at.scope)) this.#void(flight);
  }

  /** The subtree was evicted. */
  voidScope(scope: ScopePath): void {
    for (const flight of this.#airborne) if (flight.at.scope.isWithin(scope)) this.#void(flight);
  }

  /** Tags were evicted in the subtree. Flights that carry one are void; of the others it shows when their tags are final. */
  suspectTags(scope: ScopePath, tags: readonly string[]): void {
    for (const flight of this.#airborne) {
      if (!flight.at.scope.isWithin(scope)) continue;
      if (flight.knownTags.some((tag) => tags.includes(tag))) this.#void(flight);
      else flight.suspect(tags);
    }
  }

  #void(flight: Flight<R>): void {
    flight.isVoid = true;
    this.detach(flight);
  }
}

function samePlace(one: ScopePath, other: ScopePath): boolean {
  return one.ids.length === other.ids.length && one.isWithin(other);
}
