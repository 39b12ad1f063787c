import { decodeEnvelope, encodeEnvelope, PAYLOAD, type Envelope } from '../envelope.js';
import { isUsable, startOf, type NewEntry, type StoredEntry } from '../entry.js';
import type { BasicStorage, EntryAddress, StorageHost } from '../storage.js';
import { isRecorded, type Epochs, type EpochTokens } from './epochs.js';
import type { PhysicalKeys } from './physical-keys.js';

/** An entry that was read. */
export interface Loaded {
  readonly entry: StoredEntry;
  readonly address: EntryAddress;
  /** The value in bytes. */
  readonly payload: Uint8Array;
  /** What it is valid under. Whatever is made from it must be stored under the same: an eviction meanwhile takes both. */
  readonly epochs: EpochTokens;
}

/** Entries as bytes, with the epochs that they depend on. */
export class EpochEntries {
  constructor(
    readonly inner: BasicStorage,
    readonly host: StorageHost,
    readonly keys: PhysicalKeys,
    readonly epochs: Epochs,
  ) {}

  /** Of a place; `undefined`: there is none, or none that is valid and usable. */
  of(at: EntryAddress): Promise<Loaded | undefined> {
    return this.at(this.keys.entry(at), at);
  }

  /**
   * Of a physical key.
   * @param expected the place that must be in it
   * @param forgotten epochs that count as if they were still there
   */
  async at(
    physical: string,
    expected?: EntryAddress,
    forgotten: EpochTokens = {},
  ): Promise<Loaded | undefined> {
    const envelope = await this.#envelopeAt(physical);
    if (!envelope) return undefined;
    if (expected && !envelope.isFor(expected.scope.id, expected.key)) return undefined;
    const scope = expected?.scope ?? this.host.scopes.parse(envelope.scope);
    if (!scope) return undefined;
    const epochs = await this.epochs.current(scope, envelope.tags, undefined);
    if (!isRecorded(epochs, envelope, forgotten)) return undefined;
    const address = { scope, key: envelope.key };
    const entry = this.#entryOf(envelope, address);
    return entry && isUsable(entry, this.host.clock.monotonic())
      ? { entry, address, payload: envelope.payload, epochs }
      : undefined;
  }

  /** Whether nobody can use it any more. What only this process cannot read, another one may. */
  async isOver(physical: string): Promise<boolean> {
    const envelope = await this.#envelopeAt(physical);
    if (!envelope || this.host.clock.now() >= endOf(envelope)) return true;
    const scope = this.host.scopes.parse(envelope.scope);
    if (!scope) return false;
    return !isRecorded(await this.epochs.current(scope, envelope.tags, undefined), envelope);
  }

  /** @param payload the value in bytes */
  async write(
    at: EntryAddress,
    entry: NewEntry,
    payload: Uint8Array,
    epochs: EpochTokens,
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
    await this.inner.set(this.keys.entry(at), bytes, ttlMs + graceMs);
  }

  /** The same value with another life. */
  async renew(at: EntryAddress, { entry, payload, epochs }: Loaded, ttlMs: number): Promise<void> {
    const { value, sliding, tags, loadMs } = entry;
    const graceMs = entry.staleUntil - entry.freshUntil || 0;
    const life = { ttlMs, graceMs, ...(loadMs !== undefined && { loadMs }) };
    await this.write(at, { value, sliding, tags, ...life }, payload, epochs);
  }

  async #envelopeAt(physical: string): Promise<Envelope | undefined> {
    const bytes = await this.inner.get(physical);
    return bytes && decodeEnvelope(bytes, (part) => this.host.checksum(part));
  }

  /** `undefined`: its value cannot be read, which is reported. It is a miss then, and stands in nobody's way. */
  #entryOf(envelope: Envelope, { key, scope }: EntryAddress): StoredEntry | undefined {
    const { clock, listener } = this.host;
    const storedAt = clock.monotonic() - (clock.now() - envelope.storedAt);
    const { ttlMs, graceMs, sliding, tags, loadMs } = envelope;
    let value: unknown;
    try {
      value = this.host.serializer.deserialize(envelope.payload);
    } catch (error) {
      listener.onFault?.({ during: 'read', storage: this.inner.name, error, key, scope });
      return undefined;
    }
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
}

/** Wall-clock ms. */
function endOf({ storedAt, ttlMs, graceMs }: Envelope): number {
  return storedAt + ttlMs + graceMs;
}
