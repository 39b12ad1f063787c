import { decodeEnvelope, encodeEnvelope, PAYLOAD, type Envelope } from './envelope.js';
import { isFresh, isUsable, startOf, type NewEntry, type StoredEntry } from './entry.js';
import { InvalidOptionsError, typeInWords, UnsupportedError } from './errors.js';
import { KeyLocks } from './key-locks.js';
import { GLOBAL_SCOPE, type ScopePath } from './scope.js';
import type {
  BasicStorage,
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
  StorageHost,
} from './storage.js';

/** Physical key → token, of every epoch that an entry depends on. */
type Epochs = Readonly<Record<string, string>>;

interface EpochLease extends Lease {
  readonly epochs: Epochs;
  /** Tags evicted since it was taken; whether one of them matters is known only when the entry comes. */
  readonly evictedTags: Set<string>;
  isVoid: boolean;
}

interface Loaded {
  readonly entry: StoredEntry;
  readonly address: EntryAddress;
  /** What it is valid under. Whatever is made from it must be stored under the same: an eviction meanwhile takes both. */
  readonly epochs: Epochs;
}

/**
 * Scopes, tags, fences and expiry on top of a storage that knows only keys and bytes.
 *
 * Each scope node, and each tag at each node, has an epoch: a random token under a key of its own. An entry records the
 * epochs of its path and is valid only while all of them are still there and the same. Evicting a scope or a tag deletes
 * one epoch; one that got lost can only cause misses (P8). Costs: a read is 1 + depth gets, and depth more for each tag.
 *
 * Work on one key never overlaps in this process. Across processes on one such storage the epochs hold, but single-flight
 * and the atomic operations do not: a storage shared by processes should be a driver.
 */
export class EpochStorage implements OpenStorage {
  readonly type: string;
  readonly holds = 'bytes';
  readonly leases: Leases;
  readonly #locks = new KeyLocks();
  readonly #leased = new Map<string, Set<EpochLease>>();
  readonly #prefix: string;

  constructor(
    readonly inner: BasicStorage,
    readonly host: StorageHost,
  ) {
    if (host.rules.length > 0)
      throw new InvalidOptionsError(
        `rules: the storage "${inner.name}" cannot keep eviction rules (${host.rules.map((rule) => rule.name).join(', ')}). Use memoryStorage(), or let the storage bound itself.`,
      );
    this.type = inner.name;
    this.#prefix = `c${host.digest(host.namespace).slice(0, 16)}.`;
    this.leases = {
      acquire: (at, _leaseMs, refresh) => this.#acquire(at, refresh === true),
      store: (lease, entry) => this.#storeLeased(lease as EpochLease, entry),
      release: async (lease) => this.#giveBack(lease as EpochLease),
      renew: async (lease) => !(lease as EpochLease).isVoid,
    };
  }

  read(at: EntryAddress, options?: ReadOptions): Promise<StoredEntry | undefined> {
    return this.#exclusively(at, async () => {
      const found = await this.#load(at);
      if (found?.entry.sliding && options?.peek !== true && this.#fresh(found.entry))
        await this.#rewrite(at, found, found.entry.ttlMs);
      return found?.entry;
    });
  }

  readMany(
    at: readonly EntryAddress[],
    options?: ReadOptions,
  ): Promise<(StoredEntry | undefined)[]> {
    return Promise.all(at.map((one) => this.read(one, options)));
  }

  async write(at: EntryAddress, entry: NewEntry): Promise<boolean> {
    // Bytes are made before anything is awaited: the caller's object may change meanwhile (P11).
    const payload = this.host.serializer.serialize(entry.value);
    return this.#exclusively(at, async () => {
      this.#voidLeases(at);
      await this.#put(at, entry, payload, await this.#currentEpochs(at.scope, entry.tags, true));
      return true;
    });
  }

  async writeMany(items: readonly (readonly [EntryAddress, NewEntry])[]): Promise<void> {
    await Promise.all(items.map(([at, entry]) => this.write(at, entry)));
  }

  remove(at: EntryAddress): Promise<boolean> {
    return this.#exclusively(at, async () => {
      this.#voidLeases(at);
      const found = await this.#load(at);
      await this.inner.delete(this.#keyOf(at));
      return found !== undefined && this.#fresh(found.entry);
    });
  }

  async removeMany(at: readonly EntryAddress[]): Promise<number> {
    const removed = await Promise.all(at.map((one) => this.remove(one)));
    return removed.filter(Boolean).length;
  }

  touch(at: EntryAddress, ttlMs: number): Promise<boolean> {
    return this.#exclusively(at, async () => {
      const found = await this.#load(at);
      if (!found || !this.#fresh(found.entry)) return false;
      await this.#rewrite(at, found, ttlMs);
      return true;
    });
  }

  change(at: EntryAddress, change: Change): Promise<ChangeResult> {
    return this.#exclusively(at, async () => {
      for (;;) {
        const found = await this.#load(at);
        const live = found && this.#fresh(found.entry) ? found : undefined;
        const epochs = live?.epochs ?? (await this.#currentEpochs(at.scope, [], true));
        const result = await change(live?.entry);
        if (!('write' in result) || (await this.#replace(at, result, live?.entry, epochs)))
          return result;
      }
    });
  }

  async increment(at: EntryAddress, by: number, ttlMs: number): Promise<number> {
    const result = await this.change(at, (current) => {
      const value: unknown = current ? current.value : 0;
      if (typeof value !== 'number' || !Number.isFinite(value))
        throw new InvalidOptionsError(
          `increment: ${at.key} in scope ${at.scope} holds ${typeInWords(value)}, which cannot be counted with: only finite numbers can.`,
        );
      const { sliding, tags } = current ?? { sliding: false, tags: [] };
      const write = {
        value: value + by,
        ttlMs: current?.ttlMs ?? ttlMs,
        graceMs: 0,
        sliding,
        tags,
      };
      return current ? { write, ttl: 'remaining' } : { write };
    });
    return (result as { write: NewEntry }).write.value as number;
  }

  async evictScope(scope: ScopePath): Promise<number> {
    const live = await this.#countIfPossible(scope);
    this.#voidLeasesIn(scope);
    await this.#forgetEpoch(this.#epochKey(scope));
    this.#voidLeasesIn(scope);
    return live;
  }

  async evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    const live = await this.#countIfPossible(scope, (entry) =>
      tags.some((tag) => entry.tags.includes(tag)),
    );
    this.#suspectLeasesIn(scope, tags);
    await Promise.all(tags.map((tag) => this.#forgetEpoch(this.#tagKey(scope, tag))));
    this.#suspectLeasesIn(scope, tags);
    return live;
  }

  /** A minimal storage has no room for two kinds of epochs: what should be stale is evicted. */
  expire(scope: ScopePath, tags: readonly string[] | undefined): Promise<number> {
    return tags ? this.evictTags(scope, tags) : this.evictScope(scope);
  }

  async clear(): Promise<void> {
    this.#voidLeasesIn(GLOBAL_SCOPE);
    await this.inner.clear(this.#prefix);
    this.#voidLeasesIn(GLOBAL_SCOPE);
  }

  async *list(scope: ScopePath, options: ListOptions): AsyncGenerator<ListedEntry> {
    if (!this.inner.keys)
      throw new UnsupportedError(
        `The storage "${this.type}" cannot list its keys: give it a keys(prefix) method to list and count entries.`,
      );
    for await (const physical of this.inner.keys(`${this.#prefix}e`)) {
      const found = await this.#loadPhysical(physical);
      if (!found || !this.#fresh(found.entry)) continue;
      const isHere = options.deep
        ? found.address.scope.isWithin(scope)
        : found.address.scope.id === scope.id;
      if (isHere) yield found;
    }
  }

  async count(scope: ScopePath): Promise<number> {
    let count = 0;
    for await (const { address } of this.list(scope, { deep: true, keysOnly: true }))
      count += address ? 1 : 0;
    return count;
  }

  async removeExpired(): Promise<number> {
    let removed = 0;
    for await (const physical of this.inner.keys?.(`${this.#prefix}e`) ?? []) {
      if (await this.#loadPhysical(physical)) continue;
      await this.#locks.run(physical, async () => this.inner.delete(physical));
      removed++;
    }
    return removed;
  }

  removeIdle(): Promise<number> {
    return Promise.reject(
      new UnsupportedError(
        `The storage "${this.type}" does not know when entries were last read; use a sliding TTL instead of removeIdle.`,
      ),
    );
  }

  figures(): Readonly<Record<string, number>> {
    return { keysInUse: this.#locks.size, keysLeased: this.#leased.size };
  }

  async close(): Promise<void> {
    await this.inner.close?.();
  }

  async #acquire(at: EntryAddress, refresh: boolean): Promise<LeaseAnswer> {
    return this.#exclusively(at, async () => {
      const found = await this.#load(at);
      if (found && this.#fresh(found.entry) && !refresh) return { kind: 'hit', entry: found.entry };
      const lease: EpochLease = {
        at,
        epochs: await this.#currentEpochs(at.scope, [], true),
        evictedTags: new Set(),
        isVoid: false,
      };
      const key = this.#keyOf(at);
      this.#leased.set(key, (this.#leased.get(key) ?? new Set()).add(lease));
      return { kind: 'leased', lease, stale: found?.entry };
    });
  }

  async #storeLeased(lease: EpochLease, entry: NewEntry): Promise<boolean> {
    try {
      const payload = this.host.serializer.serialize(entry.value);
      return await this.#exclusively(lease.at, async () => {
        const tagEpochs = await this.#currentEpochs(lease.at.scope, entry.tags, true);
        const isStill = Object.entries(lease.epochs).every(
          ([key, token]) => tagEpochs[key] === token,
        );
        const isSuspect = entry.tags.some((tag) => lease.evictedTags.has(tag));
        const stores = isStill && !lease.isVoid && !isSuspect;
        if (stores) await this.#put(lease.at, entry, payload, tagEpochs);
        return stores;
      });
    } finally {
      this.#endLease(lease);
    }
  }

  /** What was on its way to be stored under it comes too late: nobody tells the lease of evictions any more. */
  #giveBack(lease: EpochLease): void {
    lease.isVoid = true;
    this.#endLease(lease);
  }

  #endLease(lease: EpochLease): void {
    const key = this.#keyOf(lease.at);
    const leases = this.#leased.get(key);
    leases?.delete(lease);
    if (leases?.size === 0) this.#leased.delete(key);
  }

  #voidLeases(at: EntryAddress): void {
    for (const lease of this.#leased.get(this.#keyOf(at)) ?? []) lease.isVoid = true;
  }

  #voidLeasesIn(scope: ScopePath): void {
    for (const leases of this.#leased.values())
      for (const lease of leases) if (lease.at.scope.isWithin(scope)) lease.isVoid = true;
  }

  #suspectLeasesIn(scope: ScopePath, tags: readonly string[]): void {
    for (const leases of this.#leased.values())
      for (const lease of leases)
        if (lease.at.scope.isWithin(scope)) for (const tag of tags) lease.evictedTags.add(tag);
  }

  /**
   * `epochs` as they were before the new value was thought out, tags that are new to the entry excepted.
   * `false`: it was overtaken, and must be thought out anew.
   */
  async #replace(
    at: EntryAddress,
    { write, ttl, stillValid }: Extract<ChangeResult, { write: NewEntry }>,
    replaced: StoredEntry | undefined,
    epochs: Epochs,
  ): Promise<boolean> {
    this.#voidLeases(at);
    const payload = this.host.serializer.serialize(write.value);
    const life =
      ttl === 'remaining' && replaced
        ? { ...write, ttlMs: Math.max(1, replaced.freshUntil - this.host.clock.monotonic()) }
        : write;
    const current = await this.#currentEpochs(at.scope, write.tags, true);
    if (stillValid?.() === false) return false;
    await this.#put(at, life, payload, { ...current, ...epochs });
    return true;
  }

  async #rewrite(at: EntryAddress, { entry, epochs }: Loaded, ttlMs: number): Promise<void> {
    const { value, sliding, tags } = entry;
    const graceMs = entry.staleUntil - entry.freshUntil || 0;
    const payload = this.host.serializer.serialize(value);
    await this.#put(at, { value, ttlMs, graceMs, sliding, tags }, payload, epochs);
  }

  async #put(
    at: EntryAddress,
    entry: NewEntry,
    payload: Uint8Array,
    epochs: Epochs,
  ): Promise<void> {
    const { ttlMs, graceMs, sliding, tags, loadMs } = entry;
    const bytes = encodeEnvelope(
      {
        encoding: PAYLOAD.plain,
        scope: at.scope.id,
        key: at.key,
        storedAt: startOf(entry, this.host.clock.now()),
        ttlMs,
        graceMs,
        sliding,
        tags,
        loadMs,
        extra: JSON.stringify(epochs),
        payload,
      },
      (part) => this.host.checksum(part),
    );
    await this.inner.set(this.#keyOf(at), bytes, ttlMs + graceMs);
  }

  #load(at: EntryAddress): Promise<Loaded | undefined> {
    return this.#loadPhysical(this.#keyOf(at), at);
  }

  async #loadPhysical(physical: string, expected?: EntryAddress): Promise<Loaded | undefined> {
    const bytes = await this.inner.get(physical);
    const envelope = bytes && decodeEnvelope(bytes, (part) => this.host.checksum(part));
    if (!envelope) return undefined;
    if (expected && !envelope.isFor(expected.scope.id, expected.key)) return undefined;
    const scope = expected?.scope ?? this.host.scopes.parse(envelope.scope);
    if (!scope) return undefined;
    const epochs = await this.#currentEpochs(scope, envelope.tags, false);
    if (!isRecorded(epochs, envelope)) return undefined;
    const entry = this.#entryOf(envelope);
    return isUsable(entry, this.host.clock.monotonic())
      ? { entry, address: { scope, key: envelope.key }, epochs }
      : undefined;
  }

  #entryOf(envelope: Envelope): StoredEntry {
    const { clock } = this.host;
    const storedAt = clock.monotonic() - (clock.now() - envelope.storedAt);
    const { ttlMs, graceMs, sliding, tags, loadMs } = envelope;
    const value = this.host.serializer.deserialize(envelope.payload);
    return {
      value,
      ttlMs,
      sliding,
      tags,
      storedAt,
      freshUntil: storedAt + ttlMs,
      staleUntil: storedAt + ttlMs + graceMs,
      ...(loadMs !== undefined && { loadMs }),
    };
  }

  async #currentEpochs(
    scope: ScopePath,
    tags: readonly string[],
    create: boolean,
  ): Promise<Epochs> {
    const keys = scope
      .lineage()
      .flatMap((node) => [this.#epochKey(node), ...tags.map((tag) => this.#tagKey(node, tag))]);
    const tokens = await Promise.all(
      keys.map(async (key) => [key, await this.#epoch(key, create)] as const),
    );
    return Object.fromEntries(tokens);
  }

  /** The token; `''` when there is none and none is to be made. */
  #epoch(key: string, create: boolean): Promise<string> {
    return this.#locks.run(key, async () => {
      const bytes = await this.inner.get(key);
      if (bytes) return new TextDecoder().decode(bytes);
      if (!create) return '';
      const token = this.host.randomToken();
      await this.inner.set(key, new TextEncoder().encode(token), Infinity);
      return token;
    });
  }

  #forgetEpoch(key: string): Promise<void> {
    return this.#locks.run(key, async () => this.inner.delete(key));
  }

  async #countIfPossible(
    scope: ScopePath,
    matches: (entry: StoredEntry) => boolean = () => true,
  ): Promise<number> {
    if (!this.inner.keys) return -1;
    let live = 0;
    for await (const { entry } of this.list(scope, { deep: true })) if (matches(entry)) live++;
    return live;
  }

  #fresh(entry: StoredEntry): boolean {
    return isFresh(entry, this.host.clock.monotonic());
  }

  #exclusively<T>(at: EntryAddress, work: () => Promise<T>): Promise<T> {
    return this.#locks.run(this.#keyOf(at), work);
  }

  #keyOf(at: EntryAddress): string {
    return `${this.#prefix}e${this.#digest(`${at.scope.id}\n${at.key}`)}`;
  }

  #epochKey(scope: ScopePath): string {
    return `${this.#prefix}s${this.#digest(scope.id)}`;
  }

  #tagKey(scope: ScopePath, tag: string): string {
    return `${this.#prefix}t${this.#digest(`${scope.id}\n${tag}`)}`;
  }

  /** UTF-8 cannot tell lone surrogates apart; such texts are escaped. A quotation mark never starts the others. */
  #digest(text: string): string {
    return this.host.digest(LONE_SURROGATE.test(text) ? JSON.stringify(text) : text);
  }
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Every epoch that the place and its tags depend on must have been recorded with the entry, and still be the same. */
function isRecorded(current: Epochs, envelope: Envelope): boolean {
  const recorded = JSON.parse(envelope.extra) as Epochs;
  return Object.entries(current).every(([key, token]) => token !== '' && recorded[key] === token);
}
