import { EnvelopeReader } from './envelope-reader.js';
import { EnvelopeWriter } from './envelope-writer.js';

/**
 * What storages that keep bytes write: times, place, tags and payload in one versioned record.
 *
 * Layout of version 1, little-endian. The head has a checksum of its own, so that a storage can renew an entry by
 * overwriting these 36 bytes alone (see {@link encodeEnvelopeHead}).
 *
 *      0  magic C5 5C   2  version   3  flags   4  u32 length of the body
 *      8  f64 storedAt  16 f64 ttlMs  24 f64 graceMs   32 u32 checksum of 0..31
 *     36  u32 checksum of the body
 *     40  body: text scope, text key, text extra, u16 tags, text each, [f64 loadMs], payload
 *
 * A text is a u32 length and its bytes: UTF-8, or UTF-16 with the top bit of the length set where UTF-8 would lose a
 * lone surrogate. Anything corrupt, foreign, or of a newer version decodes to `undefined`, never to other fields.
 */
export interface EnvelopeFields {
  /** What was done to the payload, see {@link PAYLOAD}. */
  readonly encoding: number;
  /** `ScopePath.id` of the place; the reader compares it. */
  readonly scope: string;
  /** Encoded key. */
  readonly key: string;
  /** Wall-clock ms. */
  readonly storedAt: number;
  /** `Infinity`: forever. */
  readonly ttlMs: number;
  readonly graceMs: number;
  readonly sliding: boolean;
  readonly tags: readonly string[];
  readonly loadMs: number | undefined;
  /** For the storage itself (epochs, for example); `''` when it needs nothing. */
  readonly extra: string;
  readonly payload: Uint8Array;
}

/** A decoded envelope. Texts are decoded when first asked for, which most reads never do. */
export interface Envelope extends EnvelopeFields {
  /** Whether it was written for this place: compares bytes, without decoding the texts. */
  isFor(scope: string, key: string): boolean;
}

/** The times of an entry: all that changes when it is renewed. */
export type EnvelopeTimes = Pick<EnvelopeFields, 'storedAt' | 'ttlMs' | 'graceMs'>;

/** 32 bits over a part of the bytes, for example crc32 of `node:zlib`. */
export type Checksum = (bytes: Uint8Array) => number;

/** Layers of the payload, as bits of `encoding`. */
export const PAYLOAD = { plain: 0, compressed: 1, encrypted: 2 } as const;

/** @internal */
export const FORMAT = {
  magic: 0x5cc5,
  version: 1,
  headBytes: 40,
  renewableBytes: 36,
  lengthAt: 4,
  timesAt: 8,
  headSumAt: 32,
  bodySumAt: 36,
  layers: 0b11,
  sliding: 0b100,
  loadMs: 0b1000,
  known: 0b1111,
  wideText: 0x8000_0000,
} as const;

/** The record for these fields. */
export function encodeEnvelope(fields: EnvelopeFields, checksum: Checksum): Uint8Array {
  return new EnvelopeWriter(fields).finish(checksum);
}

/** The fields, or `undefined` for anything that is not a whole envelope of a version this code knows. Never throws. */
export function decodeEnvelope(bytes: Uint8Array, checksum: Checksum): Envelope | undefined {
  return EnvelopeReader.open(bytes, checksum);
}

/**
 * The first 36 bytes for an existing envelope with other times. Write them over its own first 36; the rest stays.
 * `bytes` must have been decoded successfully before.
 */
export function encodeEnvelopeHead(bytes: Uint8Array, times: EnvelopeTimes, checksum: Checksum): Uint8Array {
  const head = bytes.slice(0, FORMAT.renewableBytes);
  sealHead(new DataView(head.buffer), head, times, checksum);
  return head;
}

/** @internal Writes the times and the head's checksum. */
export function sealHead(view: DataView, bytes: Uint8Array, times: EnvelopeTimes, checksum: Checksum): void {
  view.setFloat64(FORMAT.timesAt, times.storedAt, true);
  view.setFloat64(FORMAT.timesAt + 8, times.ttlMs, true);
  view.setFloat64(FORMAT.timesAt + 16, times.graceMs, true);
  view.setUint32(FORMAT.headSumAt, checksum(bytes.subarray(0, FORMAT.headSumAt)), true);
}
