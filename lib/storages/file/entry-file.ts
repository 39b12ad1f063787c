import {
  encodeEnvelopeHead,
  PAYLOAD,
  type Envelope,
  type EnvelopeTimes,
} from '../../core/envelope.js';
import type { EntrySealer } from '../../core/entry-sealer.js';
import { startOf, type NewEntry, type StoredEntry } from '../../core/entry.js';
import type { EntryAddress, StorageHost } from '../../core/storage.js';

/**
 * An entry's file: when it was last used (f64, wall-clock ms), then its envelope.
 *
 * Both can be renewed in place without rewriting the value: the time of use by overwriting the first 8 bytes, at any
 * moment, since every entry file has them there; the life by overwriting the envelope's head, with its own checksum, while
 * holding the key's slot.
 */
export const HEAD_AT = 8;
const HEAD_BYTES = 36;

/** One entry as read from its file. Times are wall-clock ms. */
export interface FileEntry {
  readonly bytes: Uint8Array;
  readonly envelope: Envelope;
  readonly isSealed: boolean;
  readonly usedAt: number;
  readonly freshUntil: number;
  readonly staleUntil: number;
}

/** The file of an entry that is being written. */
export function encodeEntry(
  host: StorageHost,
  sealer: EntrySealer,
  at: EntryAddress,
  entry: NewEntry,
  times: EnvelopeTimes,
): Uint8Array {
  const { sliding, tags, loadMs } = entry;
  const payload = host.serializer.serialize(entry.value);
  const place = { scope: at.scope.id, key: at.key };
  const fields = { ...place, ...times, sliding, tags, loadMs, extra: '', payload };
  const envelope = sealer.encode({ encoding: PAYLOAD.plain, ...fields }, allocate);
  return withUse(envelope, host.clock.now());
}

/** The file with other times, sealed anew: they cannot be overwritten in place where they are sealed as well. */
export function resealed(sealer: EntrySealer, file: FileEntry, times: EnvelopeTimes): Uint8Array {
  return withUse(sealer.renewed(file.envelope, times, allocate), file.usedAt);
}

/** With room for the time of use in front of it. */
function allocate(size: number): Uint8Array {
  return Buffer.allocUnsafe(HEAD_AT + size).subarray(HEAD_AT);
}

function withUse(envelope: Uint8Array, usedAt: number): Uint8Array {
  const { buffer, byteOffset, length } = envelope;
  const bytes = new Uint8Array(buffer, byteOffset - HEAD_AT, HEAD_AT + length);
  new DataView(buffer, bytes.byteOffset).setFloat64(0, usedAt, true);
  return bytes;
}

/** A life of the entry's length, from now. */
export function timesFrom(now: number, entry: NewEntry): EnvelopeTimes {
  return { storedAt: startOf(entry, now), ttlMs: entry.ttlMs, graceMs: entry.graceMs };
}

/**
 * `undefined`: damaged, of another kind, or of a newer format.
 * @param at where it was found; `undefined` for a walk
 * @throws SerializationError for what is whole but does not open
 */
export function decodeEntry(
  sealer: EntrySealer,
  bytes: Uint8Array,
  at?: EntryAddress,
): FileEntry | undefined {
  const outer = decodeHead(sealer, bytes);
  if (!outer) return undefined;
  const envelope = sealer.open(outer.envelope, bytes.subarray(HEAD_AT), at);
  return envelope.encoding === PAYLOAD.plain ? { ...outer, envelope } : undefined;
}

/** What can be said without opening it: its times. */
export function decodeHead(sealer: EntrySealer, bytes: Uint8Array): FileEntry | undefined {
  if (bytes.length < HEAD_AT) return undefined;
  const envelope = sealer.decode(bytes.subarray(HEAD_AT));
  if (!envelope) return undefined;
  const usedAt = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
  const freshUntil = envelope.storedAt + envelope.ttlMs;
  const staleUntil = freshUntil + envelope.graceMs;
  const isSealed = (envelope.encoding & PAYLOAD.encrypted) !== 0;
  return { bytes, envelope, isSealed, usedAt, freshUntil, staleUntil };
}

/** The head as it is in the file, to recognise the file by. */
export function headOf(file: FileEntry): Uint8Array {
  return file.bytes.subarray(HEAD_AT, HEAD_AT + HEAD_BYTES);
}

/** Tells one write of an entry from another; `''` for no entry. */
export function markOf(file: FileEntry | undefined): string {
  return file
    ? Buffer.from(file.bytes.subarray(HEAD_AT, HEAD_AT + HEAD_BYTES + 4)).toString('base64')
    : '';
}

/** The head with other times, to overwrite {@link headOf} with. */
export function renewedHead(host: StorageHost, file: FileEntry, times: EnvelopeTimes): Uint8Array {
  return encodeEnvelopeHead(file.bytes.subarray(HEAD_AT), times, host.checksum);
}

/** Bytes 0 to 7 for an entry used now. */
export function usedNow(now: number): Uint8Array {
  const bytes = new Uint8Array(HEAD_AT);
  new DataView(bytes.buffer).setFloat64(0, now, true);
  return bytes;
}

/** Whether two reads saw the same value: its times may have been renewed in between. */
export function isSameValue(one: FileEntry | undefined, other: FileEntry | undefined): boolean {
  if (!one || !other) return one === other;
  const from = HEAD_AT + HEAD_BYTES;
  return Buffer.compare(one.bytes.subarray(from), other.bytes.subarray(from)) === 0;
}

/** As the core sees it: times on the host's monotonic scale. The value is decoded when `withValue`. */
export function toStored(host: StorageHost, file: FileEntry, withValue = true): StoredEntry {
  const { envelope } = file;
  const offset = host.clock.monotonic() - host.clock.now();
  const { loadMs } = envelope;
  return {
    value: withValue ? host.serializer.deserialize(envelope.payload) : undefined,
    freshUntil: file.freshUntil + offset,
    staleUntil: file.staleUntil + offset,
    ttlMs: envelope.ttlMs,
    storedAt: envelope.storedAt + offset,
    sliding: envelope.sliding,
    tags: envelope.tags,
    ...(loadMs !== undefined && { loadMs }),
  };
}
