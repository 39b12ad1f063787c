import { checkFunction } from './call-arguments.js';
import type { CacheState } from './cache-state.js';
import { isUsable, type StoredEntry } from './entry.js';
import { LoadTimeoutError } from './errors.js';
import { Flights, type Flight } from './flights.js';
import { isPromise } from './guard.js';
import { standIn, type Landing, type Obtained } from './landing.js';
import { LoadNotes } from './load-notes.js';
import { idOf, type LoadRequest } from './load-request.js';
import { LoadRun, type LoadHost } from './load-run.js';
import { NullStorage } from './null-storage.js';
import type { Awaitable, EntryAddress, OpenStorage, Platform } from './storage.js';
import { GLOBAL_SCOPE, type ScopePath } from './scope.js';
import type { ValuePolicy } from './value/value-policy.js';
import { WriteFences, type WriteFence } from './write-fences.js';

/** Rounds in which a joined flight turned out fenced before a caller loads on its own. */
const JOIN_ROUNDS_MAX = 8;

/**
 * Read-through loading: at most one load per key here (flights) and in the fleet (leases), fenced on both levels (P5, P9),
 * with stale values as the way out when a source fails or is slow.
 */
export class Loading implements LoadHost {
  readonly flights = new Flights<Landing>();
  /** The same for values that are written rather than loaded. */
  readonly fences = new WriteFences();
  readonly notes: LoadNotes;
  readonly #runs = new Set<LoadRun>();
  /** How many changes of an entry the storage has under way, by id. */
  readonly #changing = new Map<string, number>();
  #callers = 0;
  #revision = 0;

  constructor(
    readonly storage: OpenStorage,
    readonly values: ValuePolicy,
    readonly platform: Platform,
    readonly state: CacheState,
  ) {
    this.notes = new LoadNotes(platform.clock);
  }

  /** Changes with everything that is written, removed or evicted here. */
  get revision(): number {
    return this.#revision;
  }

  get callers(): number {
    return this.#callers;
  }

  /** Loads under way; 0 when idle (P16). One that was given up at its hard timeout is none, whether or not it ever ends. */
  get size(): number {
    return Math.max(this.flights.size, this.#runs.size);
  }

  /**
   * The value for a key that the storage had no fresh entry for, counted as what it turned out to be. Rejects with the
   * loader's error, or LoadTimeoutError.
   */
  async obtain(request: LoadRequest): Promise<Obtained> {
    checkFunction(request.loader, 'getOrSet: the loader');
    const { key, scope } = request.at;
    let isStale = false;
    try {
      const obtained = await this.#obtain(request);
      isStale = obtained.outcome === 'stale';
      return obtained;
    } finally {
      if (isStale) this.state.onHit(key, scope, true);
      else this.state.onMiss(key, scope);
    }
  }

  async #obtain(request: LoadRequest): Promise<Obtained> {
    const note = this.notes.find(request.id);
    if (note && !note.hidesStale && request.stale) return standIn(request.stale);
    if (note?.failure) throw note.failure.error;
    const caller = ++this.#callers;
    const { hardMs } = request.settings;
    const patientUntil = hardMs === Infinity ? Infinity : this.platform.clock.monotonic() + hardMs;
    let isAway = request.isAway;
    for (let round = 0; ; round++) {
      const joined = round < JOIN_ROUNDS_MAX ? this.flights.find(request.id) : undefined;
      if (!joined)
        return this.#wait(request, this.#launch({ ...request, isAway }, false), 'loaded');
      // An eviction on another node, or of a tag, shows only at landing: whoever joined may have come after it.
      const mayBeLate = joined.isSuspect || this.storage.leases !== undefined;
      joined.lastJoined = caller;
      const obtained = await this.#wait(request, joined, 'joined', patientUntil);
      const isOutdated = obtained.fenced || joined.isFencedFor(obtained.tags);
      const cameTooLate = mayBeLate && (isOutdated || caller > obtained.lastCaller);
      if (obtained.outcome === 'stale' || !cameTooLate) return obtained;
      this.flights.detach(joined);
      isAway ||= joined.isAway;
    }
  }

  /** Starts a refresh of a fresh entry in the background, unless a load of it runs already. */
  refresh(request: LoadRequest): void {
    if (this.flights.find(request.id) || this.notes.find(request.id)) return;
    this.#launch(request, true);
  }

  /** @param by the fence of the write that this is, which does not outdate itself */
  voidKey(at: EntryAddress, by?: WriteFence): void {
    this.#revision++;
    this.flights.voidKey(at);
    this.fences.noteKey(at, by);
    if (this.notes.size > 0) this.notes.voidKey(idOf(at));
  }

  voidScope(scope: ScopePath): void {
    this.#revision++;
    this.flights.voidScope(scope);
    this.fences.noteScope(scope);
    if (this.notes.size > 0) this.notes.voidScope(scope);
  }

  suspectTags(scope: ScopePath, tags: readonly string[]): void {
    this.#revision++;
    this.flights.suspectTags(scope, tags);
    this.fences.noteScope(scope, tags);
    if (this.notes.size > 0) this.notes.voidScope(scope);
  }

  /**
   * Makes a change between two fences: one before it, and one in the same step in which it ends, because a load that began
   * in between may have read the old state (P5).
   * @param at the entries that it changes. Where the storage takes its time, a load of theirs that begins meanwhile could
   * also land when the new state is there already: it is not kept. With leases, the storage sees to that.
   */
  between<T>(
    at: readonly EntryAddress[],
    fence: () => void,
    act: () => Awaitable<T>,
  ): Awaitable<T> {
    fence();
    let change: Awaitable<T>;
    try {
      change = act();
    } catch (error) {
      fence();
      throw error;
    }
    if (isPromise(change))
      return this.#untilChanged(this.storage.leases ? [] : at.map(idOf), fence, change);
    fence();
    return change;
  }

  /** Tells running loaders to stop, gives their leases back, and forgets the notes. What they still bring is not stored. */
  close(reason: unknown): void {
    this.flights.voidScope(GLOBAL_SCOPE);
    for (const { plan } of this.#runs) plan.abort(reason);
    this.notes.clear();
  }

  async #untilChanged<T>(
    ids: readonly string[],
    fence: () => void,
    change: Promise<T>,
  ): Promise<T> {
    for (const id of ids) this.#changing.set(id, (this.#changing.get(id) ?? 0) + 1);
    try {
      return await change;
    } finally {
      for (const id of ids) {
        const others = this.#changing.get(id)! - 1;
        if (others > 0) this.#changing.set(id, others);
        else this.#changing.delete(id);
      }
      fence();
    }
  }

  #launch(request: LoadRequest, isRefresh: boolean): Flight<Landing> {
    const flight = this.flights.start(request.at, request.id, request.settings.tags);
    // Whoever asks before the change is over may still join it.
    if (this.#changing.has(request.id)) flight.isVoid = true;
    // What was read before a change is not shown to a loader that begins after it, lest it come back as a result. With
    // leases the storage shows what is there.
    const shown = request.revision === this.#revision ? request.stale : undefined;
    const run = new LoadRun(this, request, flight, isRefresh, shown);
    this.#runs.add(run);
    const callOff = this.#armHardTimeout(run);
    run
      .land()
      .then(
        (landing) => flight.land(landing),
        (error: unknown) => this.#crash(run, error),
      )
      .finally(() => {
        callOff();
        this.#runs.delete(run);
        this.flights.end(flight);
      })
      .catch(() => undefined);
    return flight;
  }

  /** Frees the key, tells the loader, and rejects the waiters; a late result is dropped. */
  #armHardTimeout(run: LoadRun): () => void {
    const { flight, plan } = run;
    const { hardMs } = plan.settings;
    if (hardMs === Infinity) return () => undefined;
    return this.platform.clock.after(hardMs, () => {
      const timeout = new LoadTimeoutError(
        `Loading ${flight.at.key} in scope ${flight.at.scope} took longer than hardTimeout (${hardMs} ms). Its late result will be dropped.`,
      );
      const { isOutdated } = flight;
      flight.isVoid = true;
      this.flights.end(flight);
      this.#runs.delete(run);
      plan.abort(timeout);
      this.#crash(run, timeout, isOutdated);
    });
  }

  /** What failed before a write or an eviction says nothing about what is there after it. */
  #crash({ request, flight, plan }: LoadRun, error: unknown, isOutdated = flight.isOutdated): void {
    flight.hidesStale = plan.hidesStale;
    if (!isOutdated) this.#noteFailure(request, plan.hidesStale, error);
    flight.crash(error);
  }

  #noteFailure(request: LoadRequest, hidesStale: boolean, error: unknown): void {
    // A cache that is switched off remembers nothing, errors included.
    if (this.storage instanceof NullStorage) return;
    const { settings, at, id, stale } = request;
    if (settings.errorTtlMs > 0)
      this.notes.keep(id, { at, failure: { error }, hidesStale }, settings.errorTtlMs);
    else if (stale && !hidesStale && settings.throttleMs > 0)
      this.notes.keep(id, { at, failure: undefined, hidesStale }, settings.throttleMs);
    const { key, scope } = at;
    if (stale)
      this.state.onFault({ during: 'load', storage: this.storage.type, error, key, scope });
  }

  async #wait(
    request: LoadRequest,
    flight: Flight<Landing>,
    outcome: 'loaded' | 'joined',
    patientUntil = Infinity,
  ): Promise<Obtained> {
    try {
      const landing = await this.#withinTimeouts(request, flight, patientUntil);
      if (landing !== undefined) return { ...landing, outcome };
    } catch (error) {
      if (flight.hidesStale || !this.#mayServe(request.stale)) throw error;
    }
    return standIn(request.stale!);
  }

  /** Its grace may have run out since it was read. */
  #mayServe(stale: StoredEntry | undefined): boolean {
    return stale !== undefined && isUsable(stale, this.platform.clock.monotonic());
  }

  /**
   * `undefined`: the soft timeout came first and a stale value can serve.
   * @param patientUntil monotonic ms, for a caller who joined: the load has the timeouts of whoever began it
   */
  #withinTimeouts(
    request: LoadRequest,
    flight: Flight<Landing>,
    patientUntil: number,
  ): Promise<Landing | undefined> {
    const { at, stale, settings } = request;
    const softMs = stale ? settings.softMs : Infinity;
    if (softMs === Infinity && patientUntil === Infinity) return flight.result;
    const { clock } = this.platform;
    return new Promise((resolve, reject) => {
      const stopSoft = clock.after(softMs, () => {
        if (this.#mayServe(stale)) resolve(undefined);
      });
      const stopHard = clock.after(patientUntil - clock.monotonic(), () =>
        reject(
          new LoadTimeoutError(
            `Waiting for a load of ${at.key} in scope ${at.scope} that another caller began took longer than hardTimeout (${settings.hardMs} ms). That load goes on.`,
          ),
        ),
      );
      flight.result
        .then(resolve, reject)
        .finally(() => {
          stopSoft();
          stopHard();
        })
        .catch(() => undefined);
    });
  }
}
