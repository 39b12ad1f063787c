import {
  decodeEnvelope,
  encodeEnvelope,
  encodeEnvelopeHead,
  PAYLOAD,
  type Envelope,
  type EnvelopeTimes,
} from '../../core/envelope.js';
import type { NewEntry, StoredEntry } from '../../core/entry.js';
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
  readonly usedAt: number;
  readonly freshUntil: number;
  readonly staleUntil: number;
}

/** Wall-clock times of an entry that is being written; the rest comes from the entry itself. */
export function encodeEntry(
  host: StorageHost,
  at: EntryAddress,
  entry: NewEntry,
  payload: Uint8Array,
  times: EnvelopeTimes,
): Uint8Array {
  const envelope = encodeEnvelope(
    {
      encoding: PAYLOAD.plain,
      scope: at.scope.id,
      key: at.key,
      ...times,
      sliding: entry.sliding,
      tags: entry.tags,
      loadMs: entry.loadMs,
      extra: '',
      payload,
    },
    host.checksum,
  );
  const bytes = new Uint8Array(HEAD_AT + envelope.length);
  new DataView(bytes.buffer).setFloat64(0, host.clock.now(), true);
  bytes.set(envelope, HEAD_AT);
  return bytes;
}

/** A life of the entry's length, from now. */
export function timesFrom(now: number, entry: Pick<NewEntry, 'ttlMs' | 'graceMs'>): EnvelopeTimes {
  return { storedAt: now, ttlMs: entry.ttlMs, graceMs: entry.graceMs };
}

/** `undefined`: damaged, of another kind, or of a newer format. */
export function decodeEntry(host: StorageHost, bytes: Uint8Array): FileEntry | undefined {
  if (bytes.length < HEAD_AT) return undefined;
  const envelope = decodeEnvelope(bytes.subarray(HEAD_AT), host.checksum);
  if (!envelope || envelope.encoding !== PAYLOAD.plain) return undefined;
  const usedAt = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
  const freshUntil = envelope.storedAt + envelope.ttlMs;
  const staleUntil = freshUntil + envelope.graceMs;
  return { bytes, envelope, usedAt, freshUntil, staleUntil };
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
