import type { Loader } from './cache-options.js';
import { checkFunction } from './call-arguments.js';
import type { CacheState } from './cache-state.js';
import { sleep } from './clock.js';
import { isUsable, type NewEntry, type StoredEntry } from './entry.js';
import { LoadTimeoutError } from './errors.js';
import { Flights, type Flight } from './flights.js';
import { isPromise } from './guard.js';
import { LoadNotes } from './load-notes.js';
import { LoadPlan } from './load-plan.js';
import { jittered, type LoadSettings } from './load-settings.js';
import { MISS, type Lookup } from './lookup.js';
import type { EntryAddress, Lease, Leases, OpenStorage, Platform } from './storage.js';
import { GLOBAL_SCOPE, type ScopePath } from './scope.js';
import type { ValuePolicy } from './value/value-policy.js';
import { WriteFences, type WriteFence } from './write-fences.js';

/** How a load ended, shared by all who waited for it. */
export interface Landing {
  /** In admitted form: each caller releases a copy of its own. */
  readonly value: unknown;
  readonly from: 'loader' | 'storage';
  readonly stored: boolean;
  /** Its key was written or evicted meanwhile: callers who came after that must not use it. */
  readonly fenced: boolean;
  /**
   * The last caller (they are numbered) who had come when this value was still known to be right. Whoever joined later may
   * have come after an eviction in another process, which nobody has told this one.
   */
  readonly lastCaller: number;
  /** Monotonic ms; `undefined` when it was not stored. */
  readonly freshUntil: number | undefined;
  readonly tags: readonly string[];
}

/** What a caller of `obtain` gets. */
export interface Obtained extends Landing {
  readonly outcome: 'loaded' | 'joined' | 'stale';
}

/** One load as asked for by a caller. */
export interface LoadRequest {
  readonly at: EntryAddress;
  readonly id: string;
  readonly loader: Loader<unknown>;
  readonly settings: LoadSettings;
  /** The entry past its TTL but within its grace, when the read found one. */
  readonly stale: StoredEntry | undefined;
  /** {@link Loading.revision} when that read began. */
  readonly revision: number;
  /** The read waited for the storage in vain. This load does without it: one request waits for one deadline (P12). */
  readonly isAway: boolean;
}

/** What a loader brought. */
interface Loaded {
  readonly value: unknown;
  readonly loadMs: number;
  /** See {@link Landing.lastCaller}, as of the loader's begin. */
  readonly lastCaller: number;
}

/** A read that failed after so long has had its request's patience; one that failed sooner says little about the rest. */
export const PATIENCE_MS = 50;
/** Between the first read that waited in vain and the load: many begin together, and their deadlines pass together. */
const GATHER_MS = 5;

/** Rounds in which a joined flight turned out fenced before a caller loads on its own. */
const JOIN_ROUNDS_MAX = 8;

/**
 * Read-through loading: at most one load per key here (flights) and in the fleet (leases), fenced on both levels (P5, P9),
 * with stale values as the way out when a source fails or is slow.
 */
export class Loading {
  readonly flights = new Flights<Landing>();
  /** The same for values that are written rather than loaded. */
  readonly fences = new WriteFences();
  readonly notes: LoadNotes;
  readonly #plans = new Set<LoadPlan>();
  /** How many have asked for a load so far. */
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

  /** Loads under way; 0 when idle (P16). One that was given up at its hard timeout is none, whether or not it ever ends. */
  get size(): number {
    return Math.max(this.flights.size, this.#plans.size);
  }

  /** The value for a key that the storage had no fresh entry for. Rejects with the loader's error, or LoadTimeoutError. */
  async obtain(request: LoadRequest): Promise<Obtained> {
    checkFunction(request.loader, 'getOrSet: the loader');
    const note = this.notes.find(request.id);
    if (note && !note.hidesStale && request.stale) return this.#fromStale(request.stale);
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

  /** Whether a hit is late enough in its life to refresh ahead of time. */
  isDueEarly(entry: StoredEntry, settings: LoadSettings, now: number): boolean {
    if (entry.ttlMs === Infinity) return false;
    if (
      settings.refreshAhead !== undefined &&
      now >= entry.freshUntil - entry.ttlMs * (1 - settings.refreshAhead)
    )
      return true;
    if (settings.earlyExpiration === undefined) return false;
    // XFetch (Vattani, Chierichetti, Lowenstein, VLDB 2015): the load's own duration says how early is early enough.
    const loadMs = entry.loadMs ?? 0;
    return (
      now - loadMs * settings.earlyExpiration * Math.log(1 - this.platform.random()) >=
      entry.freshUntil
    );
  }

  /** @param by the fence of the write that this is, which does not outdate itself */
  voidKey(at: EntryAddress, by?: WriteFence): void {
    this.#revision++;
    this.flights.voidKey(at);
    this.fences.noteKey(at, by);
    if (this.notes.size > 0) this.notes.voidScope(at.scope, at.key);
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

  /** Tells running loaders to stop, gives their leases back, and forgets the notes. What they still bring is not stored. */
  close(reason: unknown): void {
    this.flights.voidScope(GLOBAL_SCOPE);
    for (const plan of this.#plans) plan.abort(reason);
    this.notes.clear();
  }

  #launch(request: LoadRequest, isRefresh: boolean): Flight<Landing> {
    const flight = this.flights.start(request.at, request.id, request.settings.tags);
    // What was read before a change is not shown to a loader that begins after it, lest it come back as a result. With
    // leases the storage shows what is there.
    const shown = request.revision === this.#revision ? request.stale : undefined;
    const plan = new LoadPlan(request.settings, () => this.#asLookup(shown));
    this.#plans.add(plan);
    const calledOff = this.#armHardTimeout(request, flight, plan);
    this.#fly(request, flight, plan, isRefresh)
      .then(
        (landing) => flight.land(landing),
        (error: unknown) => this.#crash(request, flight, plan, error),
      )
      .finally(() => {
        calledOff();
        this.#plans.delete(plan);
        this.flights.end(flight);
      })
      .catch(() => undefined);
    return flight;
  }

  /** Frees the key, tells the loader, and rejects the waiters; a late result is dropped. */
  #armHardTimeout(request: LoadRequest, flight: Flight<Landing>, plan: LoadPlan): () => void {
    const { hardMs } = plan.settings;
    if (hardMs === Infinity) return () => undefined;
    return this.platform.clock.after(hardMs, () => {
      const timeout = new LoadTimeoutError(
        `Loading ${flight.at.key} in scope ${flight.at.scope} took longer than hardTimeout (${hardMs} ms). Its late result will be dropped.`,
      );
      const { isOutdated } = flight;
      flight.isVoid = true;
      this.flights.end(flight);
      this.#plans.delete(plan);
      plan.abort(timeout);
      this.#crash(request, flight, plan, timeout, isOutdated);
    });
  }

  /** What failed before a write or an eviction says nothing about what is there after it. */
  #crash(
    request: LoadRequest,
    flight: Flight<Landing>,
    { hidesStale }: LoadPlan,
    error: unknown,
    isOutdated = flight.isOutdated,
  ): void {
    flight.hidesStale = hidesStale;
    if (!isOutdated) this.#noteFailure(request, hidesStale, error);
    flight.crash(error);
  }

  async #fly(
    request: LoadRequest,
    flight: Flight<Landing>,
    plan: LoadPlan,
    isRefresh: boolean,
  ): Promise<Landing> {
    const { leases } = this.storage;
    if (request.isAway) return this.#loadAlone(request, flight, plan);
    if (!leases) return this.#load(request, flight, plan, undefined);
    let lease: Lease | undefined;
    const since = this.platform.clock.monotonic();
    try {
      const answer = await this.#takeLease(leases, request, flight, plan, isRefresh);
      if (!('at' in answer)) return answer;
      lease = answer;
    } catch (error) {
      plan.throwIfAborted();
      // Without the fleet's lock the load still runs once in this process; its result just cannot be stored (P12).
      this.#fault('acquire', error, request.at);
      this.#noteWait(flight, since);
    }
    return this.#load(request, flight, plan, lease);
  }

  /** What ran without a lease, or would be written to where nobody answered, is not kept. */
  async #loadAlone(
    request: LoadRequest,
    flight: Flight<Landing>,
    plan: LoadPlan,
  ): Promise<Landing> {
    plan.skipStore();
    // The others whose reads end now join before the loader begins.
    await sleep(this.platform.clock, GATHER_MS);
    plan.throwIfAborted();
    return this.#load(request, flight, plan, undefined);
  }

  async #takeLease(
    leases: Leases,
    request: LoadRequest,
    flight: Flight<Landing>,
    plan: LoadPlan,
    isRefresh: boolean,
  ): Promise<Lease | Landing> {
    for (;;) {
      const lastCaller = this.#callers;
      const answer = await leases.acquire(request.at, request.settings.leaseMs, isRefresh);
      if (answer.kind === 'leased') {
        if (plan.isAborted) await leases.release(answer.lease);
        plan.throwIfAborted();
        plan.seeStale(() => this.#asLookup(answer.stale));
        return answer.lease;
      }
      if (answer.kind === 'hit') return this.#fromEntry(answer.entry, flight, lastCaller);
      // Read before this flight began, so nobody who joined it may have that.
      if (isRefresh && request.stale) return this.#fromEntry(request.stale, flight, 0);
      await answer.changed(request.settings.leaseMs);
      plan.throwIfAborted();
    }
  }

  async #load(
    request: LoadRequest,
    flight: Flight<Landing>,
    plan: LoadPlan,
    lease: Lease | undefined,
  ): Promise<Landing> {
    const stopRenewing = lease ? this.#keepRenewed(lease, flight, plan) : undefined;
    if (lease)
      plan.onAbort(() => {
        stopRenewing?.();
        void this.storage.leases!.release(lease);
      });
    const startedAt = this.platform.clock.monotonic();
    const lastCaller = this.storage.leases ? this.#callers : Infinity;
    this.state.loads++;
    try {
      const value = this.values.admit(await request.loader(plan), request.at.key);
      const loadMs = this.platform.clock.monotonic() - startedAt;
      return await this.#store({ value, loadMs, lastCaller }, flight, plan, lease);
    } catch (error) {
      this.state.loadErrors++;
      if (lease) await this.storage.leases!.release(lease);
      throw error;
    } finally {
      stopRenewing?.();
    }
  }

  async #store(
    { value, loadMs, lastCaller }: Loaded,
    flight: Flight<Landing>,
    plan: LoadPlan,
    lease: Lease | undefined,
  ): Promise<Landing> {
    const { tags } = plan;
    const landing = {
      value,
      from: 'loader' as const,
      tags,
      stored: false,
      fenced: false,
      lastCaller,
      freshUntil: undefined,
    };
    const mayStore = plan.stores && (lease !== undefined || this.storage.leases === undefined);
    const confirming = this.#callers;
    if (!mayStore || flight.isFencedFor(tags)) {
      const isAsked = flight.lastJoined > lastCaller;
      const isConfirmed =
        lease !== undefined && (await this.#giveBack(lease, flight, plan, isAsked));
      const fenced = flight.isFencedFor(tags);
      return { ...landing, fenced, lastCaller: isConfirmed ? confirming : lastCaller };
    }
    const ttlMs = jittered(plan.ttlMs, plan.settings.jitter, this.platform.random);
    const entry: NewEntry = {
      value,
      ttlMs,
      graceMs: plan.graceMs,
      sliding: plan.settings.sliding,
      tags,
      loadMs,
    };
    const storedAt = this.platform.clock.monotonic();
    const stored = await this.#put(flight, entry, plan.settings, lease);
    const fenced = flight.isFencedFor(tags) || (lease !== undefined && stored === false);
    return {
      ...landing,
      stored: stored === true,
      fenced,
      lastCaller: stored === true ? confirming : lastCaller,
      freshUntil: stored === true ? storedAt + ttlMs : undefined,
    };
  }

  /** Without storing. `isAsked`: somebody joined since the loader began, who has to know whether the lease was still valid. */
  async #giveBack(
    lease: Lease,
    flight: Flight<Landing>,
    plan: LoadPlan,
    isAsked: boolean,
  ): Promise<boolean> {
    const leases = this.storage.leases!;
    const since = this.platform.clock.monotonic();
    let isConfirmed = false;
    try {
      isConfirmed = isAsked && (await leases.renew(lease, plan.settings.leaseMs));
    } catch (error) {
      this.#fault('renew', error, lease.at);
      this.#noteWait(flight, since);
    }
    const released = leases.release(lease);
    // Who has waited for the storage in vain does not wait for it again; a failed release says so itself.
    if (!flight.isAway) await released;
    return isConfirmed;
  }

  /** `undefined` when the storage failed: that is a fault, not a fence. */
  async #put(
    flight: Flight<Landing>,
    entry: NewEntry,
    settings: LoadSettings,
    lease: Lease | undefined,
  ): Promise<boolean | undefined> {
    const since = this.platform.clock.monotonic();
    try {
      if (lease) return await this.storage.leases!.store(lease, entry, settings.tiers);
      // No await before this call: between the fence check and a synchronous write nothing can come in between.
      const stillValid = (): boolean => !flight.isFencedFor(entry.tags);
      const written = this.storage.write(flight.at, entry, { ...settings.tiers, stillValid });
      return isPromise(written) ? await written : written;
    } catch (error) {
      this.#fault('store', error, flight.at);
      this.#noteWait(flight, since);
      return undefined;
    }
  }

  /** @param since when it began to wait for the storage, which has failed now */
  #noteWait(flight: Flight<Landing>, since: number): void {
    flight.isAway ||= this.platform.clock.monotonic() - since >= PATIENCE_MS;
  }

  #keepRenewed(lease: Lease, flight: Flight<Landing>, plan: LoadPlan): () => void {
    const { leaseMs } = plan.settings;
    let stop = (): void => undefined;
    const renew = (): void => {
      this.storage.leases!.renew(lease, leaseMs).then(
        (valid) => (valid ? arm() : undefined),
        (error: unknown) => this.#fault('renew', error, flight.at),
      );
    };
    let stopped = false;
    const arm = (): void => {
      if (!stopped) stop = this.platform.clock.after(leaseMs / 3, renew);
    };
    arm();
    return () => {
      stopped = true;
      stop();
    };
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
    return this.#fromStale(request.stale!);
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

  #noteFailure(request: LoadRequest, hidesStale: boolean, error: unknown): void {
    const { settings, at, id, stale } = request;
    if (settings.errorTtlMs > 0)
      this.notes.keep(id, { at, failure: { error }, hidesStale }, settings.errorTtlMs);
    else if (stale && !hidesStale && settings.throttleMs > 0)
      this.notes.keep(id, { at, failure: undefined, hidesStale }, settings.throttleMs);
    if (stale) this.#fault('load', error, at);
  }

  #fromStale(stale: StoredEntry): Obtained {
    return {
      value: stale.value,
      from: 'storage',
      stored: false,
      fenced: false,
      lastCaller: Infinity,
      freshUntil: stale.freshUntil,
      tags: stale.tags,
      outcome: 'stale',
    };
  }

  #fromEntry(entry: StoredEntry, flight: Flight<Landing>, lastCaller: number): Landing {
    // Values from bytes are fresh objects, but one flight serves many callers: admit, so that each release is a copy.
    const value =
      this.storage.holds === 'values' ? entry.value : this.values.admit(entry.value, flight.at.key);
    return {
      value,
      from: 'storage',
      stored: true,
      fenced: flight.isFencedFor(entry.tags),
      lastCaller,
      freshUntil: entry.freshUntil,
      tags: entry.tags,
    };
  }

  #asLookup(stale: StoredEntry | undefined): Lookup<unknown> {
    if (!stale) return MISS;
    const { clock } = this.platform;
    const expiresAt = clock.now() + (stale.freshUntil - clock.monotonic());
    return {
      hit: true,
      value: this.values.release(stale.value),
      expiresAt,
      stale: true,
      tags: stale.tags,
    };
  }

  #fault(during: string, error: unknown, at: EntryAddress): void {
    this.state.onFault({ during, storage: this.storage.type, error, key: at.key, scope: at.scope });
  }
}
