import { sleep } from '../../core/clock.js';
import { isUsable, type NewEntry, type StoredEntry } from '../../core/entry.js';
import type { EntryAddress, Lease, LeaseAnswer, Leases, StorageHost } from '../../core/storage.js';
import type { Budget } from './budget.js';
import type { Commands } from './commands.js';
import type { Layout, Place } from './layout.js';
import type { LeaseEnds, Wait } from './lease-ends.js';
import { EntryRecord } from './record.js';
import type { Reader } from './reader.js';
import { ACQUIRE, RENEW_LEASE } from './scripts.js';
import type { ServerClock } from './server-clock.js';
import type { Writer } from './writer.js';

/** After a lease was lost track of, its return is tried first after so long, then in growing steps up to the longest. */
const TAKE_BACK_MS = { first: 50, most: 250 } as const;
/** Returns under way at most; beyond, a lease runs out by itself. */
const TAKE_BACKS_MAX = 256;

class RedisLease implements Lease {
  constructor(
    readonly at: EntryAddress,
    readonly place: Place,
    readonly token: string,
  ) {}
}

/** Leases on the server, bound to the epochs that were current when they were taken. */
export class RedisLeases implements Leases {
  /** Tokens being given back in the background; empty when idle. */
  readonly #returning = new Set<string>();
  #isClosed = false;

  constructor(
    readonly host: StorageHost,
    readonly commands: Commands,
    readonly reader: Reader,
    readonly writer: Writer,
    readonly clock: ServerClock,
    readonly layout: Layout,
    readonly ends: LeaseEnds,
  ) {}

  async acquire(at: EntryAddress, leaseMs: number, refresh = false): Promise<LeaseAnswer> {
    const place = this.layout.place(at);
    const budget = this.commands.budget();
    const answer = await this.#ask(place, leaseMs, refresh ? 'refresh' : '', budget);
    // Alive for the server, but damaged, for another place or expired for us: load it anew.
    return answer ?? (await this.#ask(place, leaseMs, 'force', budget))!;
  }

  async store(lease: Lease, entry: NewEntry): Promise<boolean> {
    const { place, token } = lease as RedisLease;
    try {
      return await this.writer.write(place, entry, { mode: 's', expected: token });
    } catch (error) {
      this.#takeBack(lease);
      throw error;
    }
  }

  async release(lease: Lease): Promise<void> {
    try {
      await this.#renew(lease, 0);
    } catch (error) {
      this.#takeBack(lease);
      const { key, scope } = lease.at;
      this.host.listener.onFault?.({ during: 'release', storage: 'redis', error, key, scope });
    }
  }

  async renew(lease: Lease, leaseMs: number): Promise<boolean> {
    return this.#renew(lease, Math.max(1, Math.ceil(leaseMs)));
  }

  /** What is still held then runs out by itself. */
  close(): void {
    this.#isClosed = true;
  }

  async #renew(lease: Lease, leaseMs: number): Promise<boolean> {
    const { place, token } = lease as RedisLease;
    return (await this.commands.run(RENEW_LEASE, place.scope, place.keys, [token, leaseMs])) === 1;
  }

  async #ask(
    place: Place,
    leaseMs: number,
    mode: '' | 'refresh' | 'force',
    budget: Budget,
  ): Promise<LeaseAnswer | undefined> {
    const token = this.writer.token();
    const args = [
      place.name,
      token,
      Math.max(1, Math.ceil(leaseMs)),
      token,
      this.clock.now(),
      mode,
    ];
    const interest = this.ends.expect(place.serverLeaseKey);
    const reply = await this.commands
      .runForBytes(ACQUIRE, place.scope, place.keys, args, budget)
      .catch((error: unknown) => {
        interest.drop();
        this.#takeBack(new RedisLease(place.at, place, token));
        throw error;
      });
    const [kind, bytes, old, leftMs] = reply as [Buffer, Buffer | null, Buffer, number?];
    const wait =
      leftMs === undefined
        ? undefined
        : this.ends.ended(interest, leftMs, leaseMs - leftMs, this.host);
    if (!wait) interest.drop();
    const entry = this.#entryIn(place, bytes, old.length > 0);
    if (kind[0] === HIT) return entry && { kind: 'hit', entry };
    if (kind[0] === LEASED)
      return { kind: 'leased', lease: new RedisLease(place.at, place, token), stale: entry };
    return { kind: 'busy', stale: entry, changed: (maxMs) => this.#atMost(maxMs, wait!) };
  }

  /**
   * The server may have given the lease although its answer never came, or keep it although it was given back: everybody
   * would wait for a load that nobody makes. Goes on until the server has answered.
   */
  #takeBack(lease: Lease): void {
    const { token } = lease as RedisLease;
    if (this.#returning.has(token) || this.#returning.size >= TAKE_BACKS_MAX) return;
    this.#returning.add(token);
    const attempt = (pauseMs: number): void => {
      this.host.clock.after(pauseMs, () => {
        if (this.#isClosed) return;
        this.#renew(lease, 0).then(
          () => this.#returning.delete(token),
          () => attempt(Math.min(TAKE_BACK_MS.most, 2 * pauseMs)),
        );
      });
    };
    attempt(TAKE_BACK_MS.first);
  }

  #entryIn(place: Place, bytes: Buffer | null, isStale: boolean): StoredEntry | undefined {
    const record = EntryRecord.decode(bytes, this.reader.checksum);
    const entry = record && this.reader.open(place, record, isStale)?.entry;
    return entry && isUsable(entry, this.host.clock.monotonic()) ? entry : undefined;
  }

  #atMost(maxMs: number, { mostMs, over }: Wait): Promise<void> {
    return maxMs >= mostMs ? over : Promise.race([over, sleep(this.host.clock, maxMs)]);
  }
}

const HIT = 'h'.charCodeAt(0);
const LEASED = 'l'.charCodeAt(0);
