import { isFresh, type NewEntry, type RemovalReason, type StoredEntry } from '../../core/entry.js';
import { InvalidOptionsError, StorageUnavailableError } from '../../core/errors.js';
import { isPromise } from '../../core/guard.js';
import { GLOBAL_SCOPE, type ScopePath } from '../../core/scope.js';
import type {
  Change,
  ChangeResult,
  EntryAddress,
  ListedEntry,
  ListOptions,
  OpenStorage,
  ReadOptions,
  StorageHost,
} from '../../core/storage.js';
import { Commands } from './commands.js';
import type { Connection } from './connection.js';
import { Counters } from './counters.js';
import { Layout, type Place } from './layout.js';
import { Listing } from './listing.js';
import { Reader, type Found } from './reader.js';
import { Reclaim } from './reclaim.js';
import { RedisLeases } from './redis-leases.js';
import { ScopeWork } from './scope-work.js';
import { ServerClock } from './server-clock.js';
import { Writer } from './writer.js';

/** A Redis server, or a Cluster, as one cache uses it. */
export class OpenRedis implements OpenStorage {
  readonly type = 'redis';
  readonly holds = 'bytes';
  readonly keepsDeadlines = true;
  readonly leases: RedisLeases;
  readonly #commands: Commands;
  readonly #clock: ServerClock;
  readonly #layout: Layout;
  readonly #reader: Reader;
  readonly #writer: Writer;
  readonly #work: ScopeWork;
  readonly #reclaim: Reclaim;
  readonly #listing: Listing;
  readonly #counters: Counters;
  readonly #renewals = new Set<Promise<void>>();
  readonly #deafen: () => void;
  #isClosed = false;

  /** @param release gives the connection back when this closes */
  constructor(
    readonly host: StorageHost,
    readonly connection: Connection,
    readonly release: () => Promise<void>,
  ) {
    const { options } = connection;
    this.#commands = new Commands(connection);
    this.#clock = new ServerClock(host.clock);
    this.#layout = new Layout(host, options.prefix, connection.client.options.keyPrefix ?? '');
    this.#reader = new Reader(host, this.#commands, this.#clock, options);
    this.#writer = new Writer(host, this.#commands, this.#reader, this.#clock, this.#layout);
    this.#reclaim = new Reclaim(host, this.#commands, this.#clock);
    this.#work = new ScopeWork(host, this.#commands, this.#layout, this.#reclaim, this.#clock);
    this.#listing = new Listing(host, this.#commands, this.#layout, this.#reader, this.#work);
    this.#counters = new Counters(this.#writer, this.#commands);
    this.leases = new RedisLeases(
      host,
      this.#commands,
      this.#reader,
      this.#writer,
      this.#clock,
      this.#layout,
      connection.leaseEnds,
    );
    this.#deafen = connection.listen((error) =>
      host.listener.onFault?.({ during: 'connect', storage: 'redis', error }),
    );
    connection.started().then(this.#keepTime, this.#keepTime);
  }

  /**
   * Resolves when the first attempt to connect has ended.
   * @throws StorageUnavailableError with `failFast`, by rejecting, when the server did not answer
   */
  async ready(): Promise<void> {
    try {
      await this.#commands.send(0, () => this.connection.client.ping());
    } catch (error) {
      if (this.connection.options.failFast) throw error;
    }
  }

  async read(at: EntryAddress, options?: ReadOptions): Promise<StoredEntry | undefined> {
    this.#keepTime();
    const place = this.#layout.place(at);
    const sight = await this.#reader.look(place);
    if (!sight.bytes) return undefined;
    const judged = this.#reader.judge(place, sight);
    const found = isPromise(judged) ? await judged : judged;
    if (found === undefined || !found.entry.sliding || options?.peek === true) return found?.entry;
    // What is stale stays so: a read of it must not make it fresh again.
    const isLive = isFresh(found.entry, this.host.clock.monotonic());
    return isLive ? this.#slide(place, found) : found.entry;
  }

  readMany(
    at: readonly EntryAddress[],
    options?: ReadOptions,
  ): Promise<(StoredEntry | undefined)[]> {
    return Promise.all(at.map((one) => this.read(one, options)));
  }

  async write(at: EntryAddress, entry: NewEntry): Promise<boolean> {
    this.#keepTime();
    await this.#writer.put(this.#layout.place(at), entry);
    return true;
  }

  async writeMany(items: readonly (readonly [EntryAddress, NewEntry])[]): Promise<void> {
    await Promise.all(items.map(([at, entry]) => this.write(at, entry)));
  }

  async remove(at: EntryAddress): Promise<boolean> {
    const removed = await this.#writer.remove(this.#layout.place(at));
    if (removed) this.host.listener.onRemoval?.('deleted', 1, at.key, at.scope);
    return removed;
  }

  async removeMany(at: readonly EntryAddress[]): Promise<number> {
    const removed = await Promise.all(at.map((one) => this.remove(one)));
    return removed.filter(Boolean).length;
  }

  async touch(at: EntryAddress, ttlMs: number): Promise<boolean> {
    const place = this.#layout.place(at);
    const budget = this.#commands.budget();
    // A writer in between makes it another entry, which is touched then.
    for (let isAgain = false; budget.leftMs > 0; isAgain = true) {
      const found = await this.#reader.find(place, isAgain ? budget : undefined);
      if (!found || !isFresh(found.entry, this.host.clock.monotonic())) return false;
      if (await this.#writer.renew(place, found, ttlMs, budget)) return true;
    }
    throw new StorageUnavailableError(
      `Redis: ${at.key} in scope ${at.scope} is written too often to be touched.`,
    );
  }

  change(at: EntryAddress, change: Change): Promise<ChangeResult> {
    this.#keepTime();
    return this.#writer.change(this.#layout.place(at), change);
  }

  increment(at: EntryAddress, by: number, ttlMs: number): Promise<number> {
    this.#keepTime();
    return this.#counters.add(this.#layout.place(at), by, ttlMs);
  }

  async evictScope(scope: ScopePath): Promise<number> {
    return this.#left('scope', await this.#work.evict(scope), scope);
  }

  async evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    return this.#left('tag', await this.#work.evictTags(scope, tags), scope);
  }

  expire(scope: ScopePath, tags: readonly string[] | undefined): Promise<number> {
    return this.#work.expire(scope, tags);
  }

  async clear(): Promise<void> {
    this.#left('cleared', await this.#work.evict(GLOBAL_SCOPE), GLOBAL_SCOPE);
  }

  list(scope: ScopePath, options: ListOptions): AsyncIterable<ListedEntry> {
    return this.#listing.list(scope, options);
  }

  count(scope: ScopePath): Promise<number> {
    return this.#work.count(scope);
  }

  removeExpired(): Promise<number> {
    return this.#work.removeExpired(GLOBAL_SCOPE);
  }

  async removeIdle(scope: ScopePath, idleMs: number): Promise<number> {
    return this.#left('idle', await this.#work.removeIdle(scope, idleMs), scope);
  }

  figures(): Readonly<Record<string, number>> {
    return {
      commandsUnderWay: this.#commands.underWay,
      waitingForLeases: this.connection.leaseEnds.size,
      bucketsBeingReclaimed: this.#reclaim.running,
    };
  }

  /** Tells how many entries left. Of those that the server lets expire, or that are replaced, nothing is heard. */
  #left(reason: RemovalReason, count: number, scope: ScopePath): number {
    if (count > 0) this.host.listener.onRemoval?.(reason, count, undefined, scope);
    return count;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#reclaim.close();
    this.leases.close();
    await Promise.all(this.#renewals);
    this.#deafen();
    await this.release();
  }

  /**
   * The caller need not wait: the renewal follows on the same connection, ahead of whatever this process asks next.
   * That keeps a sliding read at one round trip.
   */
  #slide(place: Place, found: Found): StoredEntry {
    const { entry } = found;
    const renewal: Promise<void> = this.#writer
      .renew(place, found, entry.ttlMs)
      .then(ignoreWhetherThere, (error: unknown) => this.#report('slide', error, place))
      .finally(() => this.#renewals.delete(renewal));
    this.#renewals.add(renewal);
    const freshUntil = this.host.clock.monotonic() + entry.ttlMs;
    return { ...entry, freshUntil, staleUntil: freshUntil + entry.staleUntil - entry.freshUntil };
  }

  /** With what happens anyway, so that an idle cache asks for nothing. */
  readonly #keepTime = (): void => {
    const { connection } = this;
    if (!this.#clock.isDue(connection.generation, connection.serverOf(0))) return;
    const [keys] = this.#layout.nodes(GLOBAL_SCOPE);
    this.#clock
      .sample((onSent) => this.#commands.time(keys!, onSent))
      .catch((error: unknown) => this.#report('time', error));
  };

  #report(during: string, error: unknown, place?: Place): void {
    const where = place && { key: place.at.key, scope: place.at.scope };
    this.host.listener.onFault?.({ during, storage: 'redis', error, ...where });
  }
}

function ignoreWhetherThere(): void {}

/** @throws InvalidOptionsError: what a server keeps, no rule in one process can bound */
export function refuseRules(host: StorageHost): void {
  const [rule] = host.rules;
  if (rule)
    throw new InvalidOptionsError(
      `redisStorage cannot keep the eviction rule "${rule.name}": give it to a near tier, or set maxmemory and maxmemory-policy on the server.`,
    );
}
