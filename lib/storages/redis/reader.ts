import type { NewEntry, StoredEntry } from '../../core/entry.js';
import {
  encodeEnvelopeHead,
  PAYLOAD,
  type Checksum,
  type Envelope,
  type EnvelopeTimes,
} from '../../core/envelope.js';
import { EntrySealer } from '../../core/entry-sealer.js';
import { CacheError, StorageUnavailableError } from '../../core/errors.js';
import type { StorageHost } from '../../core/storage.js';
import type { Budget } from './budget.js';
import type { Commands } from './commands.js';
import type { Place } from './layout.js';
import { pack, unpack } from './payload.js';
import { ReadBatches, type Sight } from './read-batch.js';
import { EntryRecord, type Verdict } from './record.js';
import type { ResolvedRedisOptions } from './redis-options.js';
import type { ServerClock } from './server-clock.js';

const INFLATED_MAX = 64 * 2 ** 20;

/** An entry that may be used, with the record it came in. */
export interface Found {
  readonly entry: StoredEntry;
  readonly record: EntryRecord;
  /** Opened, where it was sealed. */
  readonly envelope: Envelope;
}

/** Entries to bytes and back, and whether what was read still counts. */
export class Reader {
  readonly checksum: Checksum = (bytes) => this.host.checksum(bytes);
  readonly #batches: ReadBatches;
  readonly #sealer: EntrySealer;

  constructor(
    readonly host: StorageHost,
    readonly commands: Commands,
    readonly clock: ServerClock,
    readonly options: ResolvedRedisOptions,
  ) {
    this.#batches = new ReadBatches(commands);
    this.#sealer = new EntrySealer(host, options.encryption);
  }

  /** @param budget of an operation that has looked before */
  look(place: Place, budget?: Budget): Promise<Sight> {
    return this.#batches.look(place, budget);
  }

  /**
   * The usable entry; one round trip, and a second one when tags were evicted in its scopes since it was written.
   * @param budget of an operation that has looked before
   */
  async find(place: Place, budget?: Budget): Promise<Found | undefined> {
    const sight = await this.#batches.look(place, budget);
    return sight.bytes ? this.judge(place, sight) : undefined;
  }

  judge(place: Place, sight: Sight): Found | undefined | Promise<Found | undefined> {
    const record = EntryRecord.decode(sight.bytes, this.checksum);
    if (!record) return undefined;
    const verdict = record.judge(sight.nodes);
    if (verdict === 'dead') return undefined;
    if (verdict === 'alive') return this.open(place, record, false);
    if (!record.hasTags) return this.open(place, record, verdict.isStale);
    return this.#judgeTags(place, record, verdict, sight.budget);
  }

  /** The entry in a record known to be alive; `undefined` when it is for another place, too old, or unreadable. */
  open(place: Place, record: EntryRecord, isStale: boolean): Found | undefined {
    const { scope, key } = place.at;
    const envelope = this.#opened(place, record);
    if (!envelope) return undefined;
    if (!envelope.isFor(scope.id, key)) {
      this.#report(
        new StorageUnavailableError(
          'Redis: an entry lies under a key that it was not written for; it is not used.',
        ),
        place,
      );
      return undefined;
    }
    const { ttlMs, graceMs, loadMs } = envelope;
    const now = this.host.clock.monotonic();
    // Written in the future, by a clock that is ahead of ours: a near copy must not live for longer than the entry was given.
    const storedAt = Math.min(now, this.clock.toMonotonic(envelope.storedAt));
    const end = storedAt + ttlMs;
    const freshUntil = isStale ? Math.min(end, now) : end;
    const staleUntil = graceMs > 0 ? end + graceMs : freshUntil;
    if (now >= staleUntil) return undefined;
    const value = this.#valueIn(place, envelope);
    if (!value) return undefined;
    const tags = record.hasTags ? envelope.tags : NO_TAGS;
    const entry = {
      value: value.value,
      freshUntil,
      staleUntil,
      ttlMs,
      storedAt,
      sliding: envelope.sliding,
      tags,
    };
    return { record, envelope, entry: loadMs === undefined ? entry : { ...entry, loadMs } };
  }

  /** The envelope of a new entry. `times` override its own, for a change that keeps the expiry. */
  seal(
    place: Place,
    entry: NewEntry,
    times: EnvelopeTimes,
    allocate: (size: number) => Uint8Array = fromPool,
  ): Uint8Array {
    const { sliding, tags, loadMs } = entry;
    const payload = this.host.serializer.serialize(entry.value);
    const packed = pack(payload, this.options.compression);
    const { scope, key } = place.at;
    // Field by field: spreading two objects into one costs more than all else here.
    const fields = {
      encoding: packed.encoding,
      payload: packed.payload,
      storedAt: times.storedAt,
      ttlMs: times.ttlMs,
      graceMs: times.graceMs,
      scope: scope.id,
      key,
      sliding,
      tags,
      loadMs,
      extra: '',
    };
    return this.#sealer.encode(fields, allocate);
  }

  /** Bytes to write over the beginning of the envelope just found, so that it has other times. */
  renewed({ record, envelope }: Found, times: EnvelopeTimes): Uint8Array {
    const isSealed = (record.envelope.encoding & PAYLOAD.encrypted) !== 0;
    return isSealed
      ? this.#sealer.renewed(envelope, times)
      : encodeEnvelopeHead(record.envelopeBytes, times, this.checksum);
  }

  /** The names in a record that a walk came across; `undefined` where they cannot be read. */
  named(record: EntryRecord): Envelope | undefined {
    try {
      return this.#sealer.open(record.envelope, record.envelopeBytes);
    } catch (error) {
      // Whoever reads the entry itself hears of it.
      if (!(error instanceof CacheError)) throw error;
      return undefined;
    }
  }

  async #judgeTags(
    place: Place,
    record: EntryRecord,
    { movedFences, isStale: wasStale }: Exclude<Verdict, string>,
    budget: Budget,
  ): Promise<Found | undefined> {
    const { tags } = record;
    const wanted = movedFences.flatMap(({ epoch, fence }) =>
      tags.map((tag) => ({ key: `${place.scope.base}t:${epoch}:${tag}`, fence })),
    );
    const kept = await this.commands.mget(
      place.scope.bucket,
      wanted.map(({ key }) => key),
      budget,
    );
    let isStale = wasStale;
    for (const [at, { fence }] of wanted.entries()) {
      // A lost tag says nothing about what happened to it: the entry is dead (P8).
      const [first, stale] = kept[at]?.toString('latin1').split(':') ?? [];
      if (first === undefined || !(Number(first) <= fence)) return undefined;
      isStale ||= Number(stale) > fence;
    }
    return this.open(place, record, isStale);
  }

  #opened(place: Place, record: EntryRecord): Envelope | undefined {
    try {
      return this.#sealer.open(record.envelope, record.envelopeBytes, place.at);
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      this.#report(error, place);
      return undefined;
    }
  }

  #valueIn(place: Place, envelope: Envelope): { readonly value: unknown } | undefined {
    try {
      const payload = unpack(envelope, this.options.compression?.maxInflatedBytes ?? INFLATED_MAX);
      return { value: this.host.serializer.deserialize(payload) };
    } catch (error) {
      this.#report(error, place);
      return undefined;
    }
  }

  #report(error: unknown, { at }: Place): void {
    this.host.listener.onFault?.({
      during: 'read',
      storage: 'redis',
      error,
      key: at.key,
      scope: at.scope,
    });
  }
}

/** From Node's pool where small: an array of its own for each write is what would cost most. */
function fromPool(size: number): Uint8Array {
  return Buffer.allocUnsafe(size);
}

const NO_TAGS: readonly string[] = Object.freeze([]);
