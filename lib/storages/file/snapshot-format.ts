import { crc32 } from 'node:zlib';

/**
 * A snapshot file, little-endian:
 *
 *     head     8 bytes 'NSCSNAP1', f64 wall-clock ms of the dump, u32 crc of these 16 bytes
 *     records  u32 length, u32 crc of the length and the bytes, bytes
 *     trailer  u32 0xFFFFFFFF, f64 number of records, u32 crc of all bytes before it
 *
 * The trailer says that the file is whole. The checksum of a record says that the record is, so that what a damaged file
 * still holds can be told from what it does not.
 */
export const SNAPSHOT = {
  magic: new TextEncoder().encode('NSCSNAP1'),
  headBytes: 20,
  recordHeadBytes: 8,
  trailerBytes: 16,
  trailerMark: 0xffff_ffff,
  /** A longer record is damage, not data. */
  recordBytesMax: 1_073_741_824,
} as const;

export function encodeHead(dumpedAt: number): Uint8Array {
  const bytes = new Uint8Array(SNAPSHOT.headBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(SNAPSHOT.magic);
  view.setFloat64(8, dumpedAt, true);
  view.setUint32(16, crc32(bytes.subarray(0, 16)), true);
  return bytes;
}

/** When it was dumped; `undefined` for what is no snapshot of a version this code knows. */
export function decodeHead(bytes: Uint8Array): number | undefined {
  if (bytes.length < SNAPSHOT.headBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const isOurs = SNAPSHOT.magic.every((byte, at) => bytes[at] === byte);
  return isOurs && view.getUint32(16, true) === crc32(bytes.subarray(0, 16))
    ? view.getFloat64(8, true)
    : undefined;
}

export function encodeRecordHead(record: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(SNAPSHOT.recordHeadBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, record.length, true);
  view.setUint32(4, crc32(record, crc32(bytes.subarray(0, 4))), true);
  return bytes;
}

export function encodeTrailer(records: number, sum: number): Uint8Array {
  const bytes = new Uint8Array(SNAPSHOT.trailerBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, SNAPSHOT.trailerMark, true);
  view.setFloat64(4, records, true);
  view.setUint32(12, sum, true);
  return bytes;
}

/** What a parser came across. */
export type SnapshotPart =
  | { readonly kind: 'record'; readonly bytes: Uint8Array }
  /** A record whose checksum is wrong; the next one may be good. */
  | { readonly kind: 'damaged' };

/** Takes a snapshot apart, chunk by chunk. */
export class SnapshotParser {
  dumpedAt: number | undefined;
  /** The trailer came, with the right count and checksum, and nothing after it. */
  isWhole = false;
  #rest: Uint8Array = new Uint8Array();
  #sum = 0;
  #records = 0;
  #isLost = false;

  /** Whether nothing that follows can be understood any more. */
  get isLost(): boolean {
    return this.#isLost;
  }

  *push(chunk: Uint8Array): Generator<SnapshotPart> {
    if (this.#isLost) {
      this.isWhole = false;
      return;
    }
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (this.dumpedAt === undefined && !this.#takeHead()) return;
    while (!this.#isLost && this.#rest.length >= SNAPSHOT.recordHeadBytes) {
      const view = new DataView(this.#rest.buffer, this.#rest.byteOffset);
      const length = view.getUint32(0, true);
      if (length === SNAPSHOT.trailerMark) return this.#takeTrailer(view);
      if (length > SNAPSHOT.recordBytesMax) {
        this.#isLost = true;
        return;
      }
      const end = SNAPSHOT.recordHeadBytes + length;
      if (this.#rest.length < end) return;
      yield this.#takeRecord(view, end);
    }
  }

  #takeHead(): boolean {
    if (this.#rest.length < SNAPSHOT.headBytes) return false;
    this.dumpedAt = decodeHead(this.#rest);
    this.#isLost = this.dumpedAt === undefined;
    this.#consume(SNAPSHOT.headBytes);
    return !this.#isLost;
  }

  #takeRecord(view: DataView, end: number): SnapshotPart {
    const bytes = this.#rest.subarray(SNAPSHOT.recordHeadBytes, end);
    const isGood = view.getUint32(4, true) === crc32(bytes, crc32(this.#rest.subarray(0, 4)));
    this.#consume(end);
    this.#records++;
    return isGood ? { kind: 'record', bytes } : { kind: 'damaged' };
  }

  #takeTrailer(view: DataView): void {
    if (this.#rest.length < SNAPSHOT.trailerBytes) return;
    const isRight =
      view.getFloat64(4, true) === this.#records && view.getUint32(12, true) === this.#sum;
    this.isWhole = isRight && this.#rest.length === SNAPSHOT.trailerBytes;
    this.#isLost = true;
  }

  #consume(count: number): void {
    this.#sum = crc32(this.#rest.subarray(0, count), this.#sum);
    this.#rest = this.#rest.subarray(count);
  }
}
