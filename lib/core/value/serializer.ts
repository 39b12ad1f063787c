import { SerializationError } from '../errors.js';
import type { ClassCodecs } from './class-codecs.js';
import { toWire } from './wire-encode.js';
import { fromWire } from './wire-decode.js';

/** Turns values into bytes and back, for storages that keep bytes. Must be the same in every process that shares them. */
export interface Serializer {
  /** For statistics and messages. */
  readonly name: string;
  /** @throws SerializationError naming what cannot be stored */
  serialize(value: unknown): Uint8Array;
  /** Never runs code that the bytes choose. @throws SerializationError for bytes that are no value */
  deserialize(bytes: Uint8Array): unknown;
}

/** First byte: whether the JSON text is the value itself, or has tags to revive. */
const PLAIN = 0x70;
const TAGGED = 0x74;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * JSON in UTF-8, with tags for what JSON cannot say: undefined, NaN, ±Infinity, -0, bigint, Date, Map, Set, RegExp, URL,
 * Error, Buffer, typed arrays, and instances of classes with a codec. Values of plain JSON have no tags and cost no
 * second walk when they are read.
 */
export function richSerializer(codecs?: ClassCodecs): Serializer {
  return {
    name: 'rich-json',
    serialize(value) {
      const wire = toWire(value, codecs);
      const text = JSON.stringify(wire);
      const bytes = encoder.encode(`p${text}`);
      if (!Object.is(wire, value)) bytes[0] = TAGGED;
      return bytes;
    },
    deserialize(bytes) {
      const kind = bytes[0];
      if (kind !== PLAIN && kind !== TAGGED)
        throw new SerializationError('The stored bytes are of no known format.');
      const parsed = parse(bytes);
      return kind === PLAIN ? parsed : fromWire(parsed, codecs);
    },
  };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes.subarray(1)));
  } catch (error) {
    throw new SerializationError('The stored bytes are no JSON text.', { cause: error });
  }
}
