import { systemClock, type Clock } from '../../core/clock.js';
import { StorageUnavailableError } from '../../core/errors.js';
import type { StorageHost } from '../../core/storage.js';
import { faultOf, messageOf } from './faults.js';
import type { ResolvedRedisOptions } from './redis-options.js';
import { Subscriber } from './subscriber.js';

/** Ends the name of the channel; the scripts (`NOTIFY`) say the same. */
const CHANNEL = '.leases';
/** After a lost or refused subscription, at the earliest; asked for by the next load that has to wait. */
const RETRY_AFTER_MS = 10_000;
/** Waiters that are told; those beyond ask from time to time. */
const INTERESTS_MAX = 10_000;

/** Until a waiter asks by itself, in ms; jittered, so that waiters do not ask in step. */
interface Pause {
  readonly least: number;
  readonly most: number;
}
/** Told when the lease ends, it asks only in case that something was lost. */
const TOLD: Pause = { least: 250, most: 500 };
/**
 * The same for a lease younger than that. Most loads are over by then, so that the server may hang rather than the load last:
 * sooner asked, the wait and the deadline of the question come to less than two deadlines (P12).
 */
const TOLD_OF_YOUNG: Pause = { least: 100, most: 200 };
const YOUNG_MS = 250;
/** The subscription is on its way: it may miss what is said until then. */
const STARTING: Pause = { least: 10, most: 50 };
const UNTOLD: Pause = { least: 20, most: 100 };
/** From a time-out until waiters ask: by then the circuit has counted all that timed out with it, and may be open. */
const DOUBT_MS = 20;

type Host = Pick<StorageHost, 'clock' | 'random'>;

/** Somebody here who may have to wait for the end of a lease. */
class Interest {
  #isTold = false;
  #isOver = false;
  #resolve: (() => void) | undefined;

  constructor(
    readonly leaseKey: string,
    /** Told of all ends since it was made, while the number of gaps is still this. */
    readonly gaps: number,
    readonly forget: (interest: Interest) => void,
  ) {}

  /** The lease has ended, or nobody can tell. */
  tell(): void {
    this.#isTold = true;
    this.drop();
    this.#resolve?.();
  }

  /** Nothing to wait for. Idempotent. */
  drop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.forget(this);
  }

  /** Resolves when told, at once when that was the case already, and after `mostMs` anyway. */
  told(clock: Clock, mostMs: number): Promise<void> {
    if (this.#isTold) return Promise.resolve();
    return new Promise((resolve) => {
      const callOff = clock.after(mostMs, () => this.tell());
      this.#resolve = () => {
        callOff();
        resolve();
      };
    });
  }
}

/**
 * Who waits here for which lease, and the connection on which their ends are heard: opened when somebody had to wait for
 * the first time. Holds what is waited for now, so it is empty when nothing loads (P16).
 */
export class LeaseEnds {
  readonly #interests = new Map<string, Set<Interest>>();
  #size = 0;
  #subscriber: Subscriber | undefined;
  #state: 'starting' | 'listening' | 'away' = 'starting';
  /** How often something may have been missed. */
  #gaps = 0;
  #triedAt = 0;
  #stopDoubt: (() => void) | undefined;
  #isClosed = false;

  /**
   * @param keyPrefix what the client itself puts before keys
   * @param report told once for each time that listening stops working
   */
  constructor(
    readonly options: ResolvedRedisOptions,
    readonly keyPrefix: string,
    readonly report: (error: unknown) => void,
  ) {}

  /** How many wait, or may have to. */
  get size(): number {
    return this.#size;
  }

  /**
   * Before the lease is asked for: its end may be heard sooner than the answer. Drop it unless the answer is "busy".
   * @param leaseKey as the server sees it
   */
  expect(leaseKey: string): Interest {
    const isKnown = this.#size < INTERESTS_MAX;
    const gaps = isKnown && this.#state === 'listening' ? this.#gaps : -1;
    const interest = new Interest(leaseKey, gaps, isKnown ? this.#forget : ignoreHere);
    if (!isKnown) return interest;
    const others = this.#interests.get(leaseKey);
    if (others) others.add(interest);
    else this.#interests.set(leaseKey, new Set([interest]));
    this.#size++;
    return interest;
  }

  /**
   * Somebody else has the lease: resolves when it is worth asking again. Begins now, and ends by itself.
   * @param leftMs for how long more
   * @param ageMs for how long, or since when it was renewed
   */
  ended(interest: Interest, leftMs: number, ageMs: number, host: Host): Wait {
    this.#listen();
    const { least, most } = this.#pauseFor(interest, ageMs);
    const mostMs = Math.min(leftMs + 1, least + host.random() * (most - least));
    return { mostMs, over: interest.told(host.clock, mostMs) };
  }

  /**
   * A command was given up. If the server hangs, those who wait for a load of another process find out now; later they would
   * wait for a deadline of their own, each in its turn (P12). If it is only slow, they ask once more.
   */
  doubt(): void {
    if (this.#size === 0 || this.#stopDoubt || this.#isClosed) return;
    this.#stopDoubt = systemClock.after(DOUBT_MS, () => {
      this.#stopDoubt = undefined;
      this.#tellAll();
    });
  }

  /** Whoever waits asks again. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#stopDoubt?.();
    this.#subscriber?.close();
    this.#tellAll();
  }

  #pauseFor({ gaps }: Interest, ageMs: number): Pause {
    if (this.#state === 'listening' && gaps === this.#gaps)
      return ageMs < YOUNG_MS ? TOLD_OF_YOUNG : TOLD;
    return this.#state === 'away' ? UNTOLD : STARTING;
  }

  #listen(): void {
    if (this.#isClosed) return;
    const now = systemClock.monotonic();
    if (!this.#subscriber) {
      this.#triedAt = now;
      const { source, prefix } = this.options;
      this.#subscriber = new Subscriber(source, `${this.keyPrefix}${prefix}${CHANNEL}`, {
        onMessage: (text) => this.#hear(text),
        onUp: () => (this.#state = 'listening'),
        onDown: (reason) => this.#lose(reason),
      });
    } else if (this.#state === 'away' && now - this.#triedAt > RETRY_AFTER_MS) {
      this.#triedAt = now;
      this.#subscriber.reset();
    }
  }

  /** The key of a lease, or where an eviction may have voided any: then its text is how their keys begin. */
  #hear(text: string): void {
    const exact = this.#interests.get(text);
    if (exact) for (const interest of exact) interest.tell();
    if (!text.endsWith('}:')) return;
    for (const [leaseKey, interests] of this.#interests)
      if (leaseKey.startsWith(text)) for (const interest of interests) interest.tell();
  }

  #lose(reason: unknown): void {
    const isNews = this.#state !== 'away';
    this.#state = 'away';
    this.#gaps++;
    this.#tellAll();
    if (isNews)
      this.report(
        new StorageUnavailableError(
          `Redis: cannot hear when loads elsewhere end, and asks every ${UNTOLD.least} to ${UNTOLD.most} ms instead: ${messageOf(reason)}`,
          { cause: faultOf(reason) },
        ),
      );
  }

  #tellAll(): void {
    for (const interests of this.#interests.values())
      for (const interest of interests) interest.tell();
  }

  readonly #forget = (interest: Interest): void => {
    const others = this.#interests.get(interest.leaseKey);
    if (!others?.delete(interest)) return;
    this.#size--;
    if (others.size === 0) this.#interests.delete(interest.leaseKey);
  };
}

/** A wait under way. */
export interface Wait {
  readonly mostMs: number;
  readonly over: Promise<void>;
}

function ignoreHere(): void {}
