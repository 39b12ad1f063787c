import type { BusConnection, BusHandlers, CacheBus } from '../../lib/core/bus.js';
import { Cache } from '../../lib/core/cache.js';
import type { Clock } from '../../lib/core/clock.js';
import type { CacheFault } from '../../lib/core/cache-listener.js';
import type { CacheOptions } from '../../lib/core/cache-options.js';
import { StorageUnavailableError } from '../../lib/core/errors.js';
import type { NewEntry, StoredEntry } from '../../lib/core/entry.js';
import type { ScopeTree } from '../../lib/core/scope-tree.js';
import type { ScopePath } from '../../lib/core/scope.js';
import type {
  Awaitable,
  Change,
  ChangeResult,
  EntryAddress,
  Lease,
  LeaseAnswer,
  Leases,
  ListedEntry,
  ListOptions,
  OpenStorage,
  ReadOptions,
  StorageDriver,
  StorageHost,
} from '../../lib/core/storage.js';
import { memoryStorage } from '../../lib/storages/memory/index.js';
import { tieredStorage, type TieredStorageOptions } from '../../lib/storages/tiered/index.js';
import { ManualClock } from '../../lib/testing/manual-clock.js';
import { testPlatform } from '../support/make-cache.js';

export const BEAT_MS = 500;

interface Gate {
  readonly at: 'request' | 'reply';
  readonly reached: Promise<void>;
  open(): void;
}

interface TestLease extends Lease {
  isVoid: boolean;
}

/** What several nodes share: one memory store behind calls that take turns, can be held, and can fail. */
export class SharedFar {
  /** Names of the calls that came in. */
  readonly calls: string[] = [];
  isAway = false;
  readonly #gates: { name: string; gate: Gate; arrive: () => void; opened: Promise<void> }[] = [];
  readonly #leases = new Set<TestLease>();
  #store: OpenStorage | undefined;
  #scopes: ScopeTree | undefined;
  closed = 0;

  /** @param turn lets a call wait before it takes effect, and before it answers */
  constructor(
    readonly isBare = false,
    readonly turn: (call: string) => Promise<void> = () => Promise.resolve(),
  ) {}

  get store(): OpenStorage {
    return this.#store!;
  }

  /** Each node has a scope tree of its own; the store knows one. */
  scope(theirs: ScopePath): ScopePath {
    return this.#scopes!.parse(theirs.id)!;
  }

  place({ scope, key }: EntryAddress): EntryAddress {
    return { scope: this.scope(scope), key };
  }

  get leasesHeld(): number {
    return this.#leases.size;
  }

  /** The next call of `name` stops before it takes effect (`request`) or after that (`reply`), until `open`. */
  hold(name: string, at: Gate['at']): Gate {
    let arrive!: () => void;
    let open!: () => void;
    const reached = new Promise<void>((resolve) => (arrive = resolve));
    const opened = new Promise<void>((resolve) => (open = resolve));
    const gate = { at, reached, open };
    this.#gates.push({ name, gate, arrive, opened });
    return gate;
  }

  driver(): StorageDriver {
    return {
      name: 'far',
      open: (host) => {
        this.#scopes ??= host.scopes;
        this.#store ??= memoryStorage().open({ ...host, rules: [], listener: {} });
        return new FarView(this, host);
      },
    };
  }

  async call<T>(name: string, act: () => Awaitable<T>): Promise<T> {
    this.calls.push(name);
    await this.#pass(name, 'request');
    await this.turn(`${name} goes`);
    if (this.isAway) throw new StorageUnavailableError('far: away');
    const result = await act();
    await this.#pass(name, 'reply');
    await this.turn(`${name} answers`);
    return result;
  }

  acquire(at: EntryAddress, now: number, refresh: boolean): LeaseAnswer {
    const entry = copyOf(this.store.read(at) as StoredEntry | undefined);
    if (entry && now < entry.freshUntil && !refresh) return { kind: 'hit', entry };
    for (const lease of this.#leases)
      if (!lease.isVoid && samePlace(lease.at, at))
        return { kind: 'busy', stale: entry, changed: () => this.turn('lease ends') };
    const lease: TestLease = { at, isVoid: false };
    this.#leases.add(lease);
    return { kind: 'leased', lease, stale: entry };
  }

  release(lease: Lease): void {
    this.#leases.delete(lease as TestLease);
  }

  voidWhere(test: (at: EntryAddress) => boolean): void {
    for (const lease of this.#leases) if (test(lease.at)) lease.isVoid = true;
  }

  async #pass(name: string, at: Gate['at']): Promise<void> {
    await Promise.resolve();
    const index = this.#gates.findIndex((one) => one.name === name && one.gate.at === at);
    if (index < 0) return;
    const held = this.#gates.splice(index, 1)[0]!;
    held.arrive();
    await held.opened;
  }
}

function samePlace(one: EntryAddress, other: EntryAddress): boolean {
  return one.key === other.key && one.scope.id === other.scope.id;
}

class FarView implements OpenStorage {
  readonly type = 'far';
  readonly holds = 'values';
  readonly leases?: Leases;

  constructor(
    readonly far: SharedFar,
    readonly host: StorageHost,
  ) {
    if (far.isBare) return;
    this.leases = {
      acquire: (at, _leaseMs, refresh) =>
        far.call('acquire', () =>
          far.acquire(far.place(at), host.clock.monotonic(), refresh === true),
        ),
      store: (lease, entry) =>
        far.call('store', async () => {
          far.release(lease);
          if ((lease as TestLease).isVoid) return false;
          return far.store.write(lease.at, entry);
        }),
      release: (lease) => far.call('release', () => far.release(lease)),
      renew: (lease) => far.call('renew', () => !(lease as TestLease).isVoid),
    };
  }

  read(at: EntryAddress, options?: ReadOptions): Promise<StoredEntry | undefined> {
    return this.far.call('read', () => snapshot(this.far.store.read(this.far.place(at), options)));
  }
  readMany(at: readonly EntryAddress[]): Promise<(StoredEntry | undefined)[]> {
    return this.far.call('readMany', () =>
      Promise.all(at.map((one) => snapshot(this.far.store.read(this.far.place(one))))),
    );
  }
  write(at: EntryAddress, entry: NewEntry): Promise<boolean> {
    return this.#change('write', [at], () => this.far.store.write(this.far.place(at), entry));
  }
  writeMany(items: readonly (readonly [EntryAddress, NewEntry])[]): Promise<void> {
    return this.#change(
      'writeMany',
      items.map(([at]) => at),
      () =>
        this.far.store.writeMany(items.map(([at, entry]) => [this.far.place(at), entry] as const)),
    );
  }
  remove(at: EntryAddress): Promise<boolean> {
    return this.#change('remove', [at], () => this.far.store.remove(this.far.place(at)));
  }
  removeMany(at: readonly EntryAddress[]): Promise<number> {
    return this.#change('removeMany', at, () =>
      this.far.store.removeMany(at.map((one) => this.far.place(one))),
    );
  }
  touch(at: EntryAddress, ttlMs: number): Promise<boolean> {
    return this.far.call('touch', () => this.far.store.touch(this.far.place(at), ttlMs));
  }
  change(at: EntryAddress, change: Change): Promise<ChangeResult> {
    return this.#change('change', [at], () => this.far.store.change(this.far.place(at), change));
  }
  increment(at: EntryAddress, by: number, ttlMs: number): Promise<number> {
    return this.#change('increment', [at], () =>
      this.far.store.increment(this.far.place(at), by, ttlMs),
    );
  }
  evictScope(scope: ScopePath): Promise<number> {
    return this.#evict('evictScope', scope, () => this.far.store.evictScope(this.far.scope(scope)));
  }
  evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    return this.#evict('evictTags', scope, () =>
      this.far.store.evictTags(this.far.scope(scope), tags),
    );
  }
  expire(scope: ScopePath, tags: readonly string[] | undefined): Promise<number> {
    return this.#evict('expire', scope, () => this.far.store.expire(this.far.scope(scope), tags));
  }
  clear(): Promise<void> {
    return this.far.call('clear', () => {
      this.far.voidWhere(() => true);
      return this.far.store.clear();
    });
  }
  list(scope: ScopePath, options: ListOptions): AsyncIterable<ListedEntry> {
    return this.far.store.list(this.far.scope(scope), options);
  }
  count(scope: ScopePath): Promise<number> {
    return this.far.call('count', () => this.far.store.count(this.far.scope(scope)));
  }
  removeExpired(): Promise<number> {
    return this.far.call('removeExpired', () => this.far.store.removeExpired());
  }
  removeIdle(scope: ScopePath, idleMs: number): Promise<number> {
    return this.far.call('removeIdle', () =>
      this.far.store.removeIdle(this.far.scope(scope), idleMs),
    );
  }
  async close(): Promise<void> {
    await this.far.call('close', () => void this.far.closed++);
  }

  #change<T>(name: string, at: readonly EntryAddress[], act: () => Awaitable<T>): Promise<T> {
    return this.far.call(name, () => {
      for (const one of at) this.far.voidWhere((leased) => samePlace(leased, one));
      return act();
    });
  }
  #evict<T>(name: string, scope: ScopePath, act: () => Awaitable<T>): Promise<T> {
    return this.far.call(name, () => {
      this.far.voidWhere((leased) => leased.scope.isWithin(this.far.scope(scope)));
      return act();
    });
  }
}

/** As a server would: what the entry was at that moment. */
async function snapshot(
  found: Awaitable<StoredEntry | undefined>,
): Promise<StoredEntry | undefined> {
  return copyOf(await found);
}

function copyOf(entry: StoredEntry | undefined): StoredEntry | undefined {
  if (!entry) return undefined;
  const { value, freshUntil, staleUntil, ttlMs, storedAt, sliding, tags } = entry;
  return { value: structuredClone(value), freshUntil, staleUntil, ttlMs, storedAt, sliding, tags };
}

/** A bus in memory, whose every fault can be asked for. */
export class TestBus {
  readonly links: TestLink[] = [];
  /** Texts that were spoken, whether or not anybody heard them. */
  readonly spoken: string[] = [];
  /** Whether a text gets through; all do at first. */
  lets: (text: string, to: TestLink) => boolean = () => true;
  delayMs = 0;
  copies = 1;

  constructor(readonly clock: ManualClock) {}

  /** The bus of one node. */
  forNode(): CacheBus {
    return {
      open: (channel, handlers) => {
        const link = new TestLink(this, channel, handlers);
        this.links.push(link);
        void Promise.resolve().then(() => link.connect());
        return link;
      },
    };
  }

  speak(channel: string, text: string): void {
    this.spoken.push(text);
    for (const link of this.links)
      if (link.channel === channel && this.lets(text, link))
        for (let copy = 0; copy < this.copies; copy++) this.#deliver(link, text);
  }

  #deliver(link: TestLink, text: string): void {
    if (this.delayMs === 0) link.hear(text);
    else this.clock.after(this.delayMs, () => link.hear(text));
  }
}

export class TestLink implements BusConnection {
  isUp = false;
  /** Nothing arrives, and nothing says so. */
  isDeaf = false;
  /** Nothing it says gets through, and nothing says so. */
  isMute = false;
  isClosed = false;
  resets = 0;
  /** What arrived while the node stood still. */
  #waiting: string[] | undefined;

  constructor(
    readonly bus: TestBus,
    readonly channel: string,
    readonly handlers: BusHandlers,
  ) {}

  connect(): void {
    if (this.isClosed) return;
    this.isUp = true;
    this.handlers.onUp();
  }

  disconnect(): void {
    this.isUp = false;
    this.handlers.onDown(new Error('bus: cut'));
  }

  /** From now on what arrives waits, as in the buffer of a socket. */
  hold(): void {
    this.#waiting = [];
  }

  /** Hears what has been waiting, in its order. */
  release(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const text of waiting) this.hear(text);
  }

  hear(text: string): void {
    if (this.#waiting) this.#waiting.push(text);
    else if (this.isUp && !this.isDeaf && !this.isClosed) this.handlers.onMessage(text);
  }

  async publish(text: string): Promise<void> {
    await Promise.resolve();
    if (!this.isUp || this.isClosed) throw new Error('bus: not connected');
    if (!this.isMute) this.bus.speak(this.channel, text);
  }

  reset(): void {
    this.resets++;
    this.isDeaf = false;
    this.disconnect();
    this.connect();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.resolve();
  }
}

/** The clock of a process that can stand still: its timers then fire when it goes on. */
export class PausableClock implements Clock {
  #held: (() => void)[] | undefined;

  constructor(readonly clock: ManualClock) {}

  hold(): void {
    this.#held = [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const task of held) task();
  }

  now(): number {
    return this.clock.now();
  }

  monotonic(): number {
    return this.clock.monotonic();
  }

  after(delayMs: number, task: () => void): () => void {
    let isOff = false;
    const run = (): void => void (isOff || task());
    const stop = this.clock.after(delayMs, () => (this.#held ? this.#held.push(run) : run()));
    return () => {
      isOff = true;
      stop();
    };
  }
}

/** One process as far as the tiered storage can tell. */
export interface Node {
  readonly cache: Cache;
  readonly link: TestLink;
  readonly clock: PausableClock;
  readonly faults: CacheFault[];
}

/** Several nodes over one far tier and one bus, on one clock. */
export class Fleet {
  readonly clock = new ManualClock();
  readonly bus = new TestBus(this.clock);
  readonly far: SharedFar;
  readonly nodes: Node[] = [];

  constructor(isBare = false) {
    this.far = new SharedFar(isBare);
  }

  /** Up, and long enough for what it takes in from now on to be trusted. */
  async node(
    options: Partial<TieredStorageOptions> = {},
    cacheOptions: CacheOptions = {},
  ): Promise<Node> {
    const faults: CacheFault[] = [];
    const clock = new PausableClock(this.clock);
    const storage = tieredStorage({
      near: memoryStorage(),
      far: this.far.driver(),
      bus: this.bus.forNode(),
      heartbeat: BEAT_MS / 1000,
      ...options,
    });
    const listener = { onFault: (fault: CacheFault) => void faults.push(fault) };
    const cache = new Cache(
      { ttl: '1h', listener, ...cacheOptions, storage },
      testPlatform(clock),
      undefined,
      () => memoryStorage(),
    );
    const node = { cache, link: this.bus.links.at(-1)!, clock, faults };
    this.nodes.push(node);
    await this.advance(3 * BEAT_MS);
    return node;
  }

  advance(ms: number): Promise<void> {
    return this.clock.advanceAsync(ms);
  }

  /** Far calls that `act` makes. */
  async farCalls(act: () => Promise<unknown>): Promise<string[]> {
    const before = this.far.calls.length;
    await act();
    return this.far.calls.slice(before);
  }

  async close(): Promise<void> {
    this.far.isAway = false;
    for (const { cache } of this.nodes) await cache.close();
  }
}

/** Lets promise callbacks run. */
export async function turns(count = 60): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
}
