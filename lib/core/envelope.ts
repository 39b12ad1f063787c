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

const MAGIC = 0x5cc5;
const VERSION = 1;
const HEAD_BYTES = 40;
const RENEWABLE_BYTES = 36;
const AT = { length: 4, times: 8, headSum: 32, bodySum: 36 } as const;
/** Bits of the flags byte; others belong to newer formats. */
const FLAG = { layers: 0b11, sliding: 0b100, loadMs: 0b1000, known: 0b1111 } as const;
const WIDE_TEXT = 0x8000_0000;
/** UTF-8 has no form for half a pair. */
const LONE_SURROGATE = /\p{Surrogate}/u;

const encoder = new TextEncoder();
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * The record for these fields.
 * @param allocate bytes to write it to, from a pool for example; what they held before does not matter
 */
export function encodeEnvelope(
  fields: EnvelopeFields,
  checksum: Checksum,
  allocate: (size: number) => Uint8Array = newBytes,
): Uint8Array {
  const bytes = allocate(largestSize(fields));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = HEAD_BYTES;
  for (const text of [fields.scope, fields.key, fields.extra]) at = putText(view, bytes, at, text);
  view.setUint16(at, fields.tags.length, true);
  at += 2;
  for (const tag of fields.tags) at = putText(view, bytes, at, tag);
  if (fields.loadMs !== undefined) {
    view.setFloat64(at, fields.loadMs, true);
    at += 8;
  }
  bytes.set(fields.payload, at);
  const whole = bytes.subarray(0, at + fields.payload.length);
  view.setUint16(0, MAGIC, true);
  bytes[2] = VERSION;
  bytes[3] =
    fields.encoding |
    (fields.sliding ? FLAG.sliding : 0) |
    (fields.loadMs === undefined ? 0 : FLAG.loadMs);
  view.setUint32(AT.length, whole.length - HEAD_BYTES, true);
  view.setUint32(AT.bodySum, checksum(whole.subarray(HEAD_BYTES)), true);
  sealHead(view, bytes, fields, checksum);
  return whole;
}

/** The fields, or `undefined` for anything that is not a whole envelope of a version this code knows. Never throws. */
export function decodeEnvelope(bytes: Uint8Array, checksum: Checksum): Envelope | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const isOurs =
    view.getUint16(0, true) === MAGIC && bytes[2] === VERSION && (bytes[3]! & ~FLAG.known) === 0;
  if (!isOurs || view.getUint32(AT.length, true) !== bytes.length - HEAD_BYTES) return undefined;
  if (view.getUint32(AT.headSum, true) !== checksum(bytes.subarray(0, AT.headSum)))
    return undefined;
  if (view.getUint32(AT.bodySum, true) !== checksum(bytes.subarray(HEAD_BYTES))) return undefined;
  const reader = new EnvelopeReader(bytes, view);
  return reader.isWhole ? reader : undefined;
}

/**
 * The envelope of which `bytes` show the head and `opened` the rest, which was sealed: its flags (one byte) and its body.
 * Nothing is checked again: whoever opened it knows that it is as it was written.
 */
export function openedEnvelope(bytes: Uint8Array, opened: Uint8Array): Envelope | undefined {
  if (opened.length === 0 || (opened[0]! & ~FLAG.known) !== 0) return undefined;
  const whole = new Uint8Array(HEAD_BYTES - 1 + opened.length);
  whole.set(bytes.subarray(0, HEAD_BYTES));
  whole.set(opened, HEAD_BYTES - 1);
  whole[3] = opened[0]!;
  const reader = new EnvelopeReader(whole, new DataView(whole.buffer));
  return reader.isWhole ? reader : undefined;
}

/**
 * The first 36 bytes of an existing envelope, with other times: written over its own first 36 they renew the entry.
 * `bytes` must have been decoded successfully before.
 */
export function encodeEnvelopeHead(
  bytes: Uint8Array,
  times: EnvelopeTimes,
  checksum: Checksum,
): Uint8Array {
  const head = new Uint8Array(RENEWABLE_BYTES);
  head.set(bytes.subarray(0, RENEWABLE_BYTES));
  sealHead(new DataView(head.buffer), head, times, checksum);
  return head;
}

function sealHead(
  view: DataView,
  bytes: Uint8Array,
  times: EnvelopeTimes,
  checksum: Checksum,
): void {
  view.setFloat64(AT.times, times.storedAt, true);
  view.setFloat64(AT.times + 8, times.ttlMs, true);
  view.setFloat64(AT.times + 16, times.graceMs, true);
  view.setUint32(AT.headSum, checksum(bytes.subarray(0, AT.headSum)), true);
}

function newBytes(size: number): Uint8Array {
  return new Uint8Array(size);
}

function largestSize(fields: EnvelopeFields): number {
  let characters = fields.scope.length + fields.key.length + fields.extra.length;
  for (const tag of fields.tags) characters += tag.length;
  return HEAD_BYTES + characters * 3 + 4 * (3 + fields.tags.length) + 2 + 8 + fields.payload.length;
}

/** Returns where the text ends. */
function putText(view: DataView, bytes: Uint8Array, at: number, text: string): number {
  const start = at + 4;
  const isWide = LONE_SURROGATE.test(text);
  const length = isWide
    ? putUnits(view, start, text)
    : encoder.encodeInto(text, bytes.subarray(start)).written;
  view.setUint32(at, isWide ? length + WIDE_TEXT : length, true);
  return start + length;
}

function putUnits(view: DataView, at: number, text: string): number {
  for (let unit = 0; unit < text.length; unit++)
    view.setUint16(at + unit * 2, text.charCodeAt(unit), true);
  return text.length * 2;
}

/** Finds where each part lies, and leaves the texts in bytes until somebody wants them. */
class EnvelopeReader implements Envelope {
  readonly isWhole: boolean;
  readonly #keyAt: number;
  readonly #extraAt: number;
  readonly #tagsAt: number;
  readonly #loadMsAt: number;
  readonly #payloadAt: number;

  constructor(
    readonly bytes: Uint8Array,
    readonly view: DataView,
  ) {
    this.#keyAt = this.#after(HEAD_BYTES);
    this.#extraAt = this.#after(this.#keyAt);
    this.#tagsAt = this.#after(this.#extraAt);
    let at = this.#tagsAt + 2;
    for (let left = at <= bytes.length ? view.getUint16(this.#tagsAt, true) : 0; left > 0; left--)
      at = this.#after(at);
    this.#loadMsAt = at;
    this.#payloadAt = bytes[3]! & FLAG.loadMs ? at + 8 : at;
    this.isWhole = this.#payloadAt <= bytes.length;
  }

  get encoding(): number {
    return this.bytes[3]! & FLAG.layers;
  }
  get sliding(): boolean {
    return (this.bytes[3]! & FLAG.sliding) !== 0;
  }
  get storedAt(): number {
    return this.view.getFloat64(AT.times, true);
  }
  get ttlMs(): number {
    return this.view.getFloat64(AT.times + 8, true);
  }
  get graceMs(): number {
    return this.view.getFloat64(AT.times + 16, true);
  }
  get scope(): string {
    return this.#text(HEAD_BYTES);
  }
  get key(): string {
    return this.#text(this.#keyAt);
  }
  get extra(): string {
    return this.#text(this.#extraAt);
  }
  get tags(): readonly string[] {
    const tags: string[] = [];
    let at = this.#tagsAt + 2;
    for (let left = this.view.getUint16(this.#tagsAt, true); left > 0; left--, at = this.#after(at))
      tags.push(this.#text(at));
    return tags;
  }
  get loadMs(): number | undefined {
    return this.bytes[3]! & FLAG.loadMs ? this.view.getFloat64(this.#loadMsAt, true) : undefined;
  }
  get payload(): Uint8Array {
    return this.bytes.subarray(this.#payloadAt);
  }

  isFor(scope: string, key: string): boolean {
    return this.#isText(HEAD_BYTES, scope) && this.#isText(this.#keyAt, key);
  }

  /** Where the text at `at` ends; past the end of the bytes when it does not fit. */
  #after(at: number): number {
    return at + 4 > this.bytes.length
      ? Infinity
      : at + 4 + (this.view.getUint32(at, true) & ~WIDE_TEXT);
  }

  #text(at: number): string {
    const length = this.view.getUint32(at, true);
    const end = this.#after(at);
    return length >= WIDE_TEXT
      ? this.#units(at + 4, end)
      : utf8.decode(this.bytes.subarray(at + 4, end));
  }

  /** By hand: every TextDecoder replaces lone surrogates. */
  #units(from: number, to: number): string {
    let text = '';
    for (let at = from; at < to; at += 2)
      text += String.fromCharCode(this.view.getUint16(at, true));
    return text;
  }

  #isText(at: number, text: string): boolean {
    const { length } = text;
    // Another length is another text, unless characters take several bytes; only then is decoding worth it.
    if (this.view.getUint32(at, true) !== length) return this.#text(at) === text;
    for (let unit = 0, byte = at + 4; unit < length; unit++, byte++)
      if (this.bytes[byte] !== text.charCodeAt(unit)) return false;
    return true;
  }
}
