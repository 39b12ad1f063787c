import { SerializationError } from '../errors.js';
import { utf8 } from './bytes.js';
import { ClassCodecs, type ClassCodec } from './class-codecs.js';
import { DEPTH_MAX } from './copy.js';
import { serializationError } from './refusal.js';
import { fromWire } from './wire-decode.js';
import { toWire } from './wire-encode.js';

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
const PLAIN = 'p';
const TAGGED = 't';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * JSON in UTF-8, with tags for what JSON cannot say: undefined, holes, NaN, ±Infinity, -0, bigint, Date, Map, Set, RegExp,
 * URL, Error, Buffer, views (in the byte order of the machine, which is little-endian wherever Node runs today), objects
 * without prototype, and instances of classes with a codec. Values of plain JSON have no tags and cost no second walk
 * when they are read.
 */
export function richSerializer(codecs?: ClassCodecs): Serializer {
  return {
    name: 'rich-json',
    serialize(value) {
      try {
        const wire = toWire(value, codecs);
        return utf8((Object.is(wire, value) ? PLAIN : TAGGED) + JSON.stringify(wire));
      } catch (thrown) {
        throw serializationError(thrown, 'the value');
      }
    },
    deserialize(bytes) {
      try {
        return parse(bytes, codecs);
      } catch (thrown) {
        if (thrown instanceof SerializationError) throw thrown;
        throw new SerializationError('The stored bytes are no value: see the cause.', {
          cause: thrown,
        });
      }
    },
  };
}

/**
 * The default serializer, for one of your own to build on: compress its bytes, sign them, count them.
 * @param codecs those of the `codecs` option. What methods name by `type` is not known to it: register a codec instead
 * @throws InvalidOptionsError for what is no codec
 */
export function jsonSerializer(codecs: readonly ClassCodec[] = []): Serializer {
  const registered = new ClassCodecs();
  for (const codec of codecs) registered.register(codec);
  return richSerializer(registered);
}

function parse(bytes: Uint8Array, codecs: ClassCodecs | undefined): unknown {
  const kind = bytes[0] === undefined ? '' : String.fromCharCode(bytes[0]);
  if (kind !== PLAIN && kind !== TAGGED)
    throw new SerializationError('The stored bytes are of no known format.');
  if (kind === PLAIN && isNestedTooDeep(bytes))
    throw new SerializationError('The stored bytes are no value: it is nested too deep.');
  const wire = jsonIn(bytes);
  return kind === PLAIN ? wire : fromWire(wire, codecs);
}

/** The engine's own error would quote the text, and values do not belong into logs (P4). */
function jsonIn(bytes: Uint8Array): unknown {
  // A slice of a text costs nothing, one of bytes does.
  const text = decoder.decode(bytes).slice(1);
  try {
    return JSON.parse(text);
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    throw new SerializationError('The stored bytes are no value: what they hold is not JSON.');
  }
}

/** Whoever copies or prints the value later recurses. Short texts have no room for so many levels. */
function isNestedTooDeep(bytes: Uint8Array): boolean {
  if (bytes.length <= DEPTH_MAX * 2) return false;
  let depth = 0;
  for (let at = 1; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at);
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      if (++depth > DEPTH_MAX) return true;
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth--;
  }
  return false;
}

function endOfString(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}

const [QUOTE, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] =
  new TextEncoder().encode('"\\[]{}');
