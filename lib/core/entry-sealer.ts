import {
  decodeEnvelope,
  encodeEnvelope,
  openedEnvelope,
  PAYLOAD,
  type Envelope,
  type EnvelopeFields,
  type EnvelopeTimes,
} from './envelope.js';
import { SerializationError } from './errors.js';
import type { EntryAddress, Platform } from './storage.js';
import { rootOf, type ValueCipher } from './value-cipher.js';

/** What a sealer needs of a host. */
export interface SealerHost extends Pick<Platform, 'digest' | 'checksum'> {
  readonly namespace: string;
}

/** Of an envelope's head: flags and times, which stay readable and must not be altered. */
const FLAGS_AT = 3;
const TIMES_AT = 8;
const TIMES_END = 32;
const HEAD_BYTES = 40;

/**
 * Envelopes with everything but the head sealed: scope, key, tags and value. What remains to be seen is the times, whether
 * it slides, and in place of the key a digest of namespace, scope and key.
 *
 * That digest, the flags and the times are associated data: an entry that was moved to another key, scope or namespace, or
 * whose times were altered, does not open.
 */
export class EntrySealer {
  constructor(
    readonly host: SealerHost,
    readonly cipher: ValueCipher | undefined,
  ) {}

  /** The envelope as it is to be stored: sealed, where there is a cipher. */
  encode(fields: EnvelopeFields, allocate?: (size: number) => Uint8Array): Uint8Array {
    const { cipher, host } = this;
    const plain = encodeEnvelope(fields, host.checksum, cipher ? undefined : allocate);
    if (!cipher) return plain;
    const outer: EnvelopeFields = {
      ...fields,
      encoding: fields.encoding | PAYLOAD.encrypted,
      scope: '',
      key: this.#placeOf(fields.scope, fields.key),
      tags: [],
      loadMs: undefined,
      extra: '',
      payload: NOTHING,
    };
    // Made once to know the head, and once more with what is sealed under it: the head's flags and times stay the same.
    const head = encodeEnvelope(outer, host.checksum);
    const body = plain.subarray(HEAD_BYTES - 1);
    body[0] = plain[FLAGS_AT]!;
    const payload = cipher.seal(body, associated(head, outer.key), rootOf(fields.scope));
    return encodeEnvelope({ ...outer, payload }, host.checksum, allocate);
  }

  /** An envelope that was opened, with other times. */
  renewed(
    envelope: Envelope,
    times: EnvelopeTimes,
    allocate?: (size: number) => Uint8Array,
  ): Uint8Array {
    const { encoding, scope, key, sliding, tags, loadMs, extra, payload } = envelope;
    const names = { scope, key, tags, loadMs, extra };
    return this.encode({ encoding, sliding, payload, ...names, ...times }, allocate);
  }

  /** The envelope in these bytes; `undefined` for what is none. What it says is not to be used before {@link open}. */
  decode(bytes: Uint8Array): Envelope | undefined {
    return decodeEnvelope(bytes, this.host.checksum);
  }

  /**
   * What was sealed; the envelope itself where nothing was and nothing had to be.
   * @param at where it was found; `undefined` for a walk, which looks at the names afterwards
   * @throws SerializationError for what does not open, and for entries in plain text where they are not accepted
   */
  open(envelope: Envelope, bytes: Uint8Array, at?: EntryAddress): Envelope {
    const { cipher } = this;
    if ((envelope.encoding & PAYLOAD.encrypted) === 0) {
      if (cipher && !cipher.acceptsPlain)
        throw new SerializationError(
          'An entry in plain text was ignored, since this cache encrypts. To take over what was there before, let the cipher accept it for a while (acceptPlain).',
        );
      return envelope;
    }
    if (!cipher)
      throw new SerializationError(
        'An encrypted entry was ignored, since this cache has no cipher. Give the storage its encryption option.',
      );
    const place = at ? this.#placeOf(at.scope.id, at.key) : envelope.key;
    if (envelope.key !== place) throw elsewhere();
    const root = at && rootOf(at.scope.id);
    const body = cipher.open(envelope.payload, associated(bytes, place), root);
    const opened = openedEnvelope(bytes, body);
    if (!opened || place !== this.#placeOf(opened.scope, opened.key)) throw elsewhere();
    return opened;
  }

  #placeOf(scope: string, key: string): string {
    // JSON escapes lone surrogates, which UTF-8 would make one and the same.
    return this.host.digest(JSON.stringify([this.host.namespace, scope, key]));
  }
}

function elsewhere(): SerializationError {
  return new SerializationError(
    'An encrypted entry was ignored: it belongs elsewhere (another key, scope or namespace).',
  );
}

function associated(head: Uint8Array, place: string): Uint8Array {
  const times = head.subarray(TIMES_AT, TIMES_END);
  const bytes = new Uint8Array(place.length + 2 + times.length);
  encoder.encodeInto(place, bytes);
  bytes.set(head.subarray(2, FLAGS_AT + 1), place.length);
  bytes.set(times, place.length + 2);
  return bytes;
}

const encoder = new TextEncoder();
const NOTHING = new Uint8Array();
