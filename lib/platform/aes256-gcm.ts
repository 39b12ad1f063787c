import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { describe, InvalidOptionsError, SerializationError } from '../core/errors.js';
import { isPromise } from '../core/guard.js';
import type { ValueCipher } from '../core/value-cipher.js';

/** Keys by id. The current one seals, all of them open. */
export interface KeyRing {
  /** 32 random bytes for each id. Ids are written beside what they seal: 1 to 64 letters, digits, `_`, `.` and `-`. */
  readonly keys: Readonly<Record<string, Uint8Array>>;
  /** Id of the key that seals from now on. */
  readonly current: string;
}

/** For {@link aes256Gcm}. */
export interface Aes256GcmOptions extends KeyRing {
  /**
   * Keys of one root scope (`'org:acme'`: level and id), for all that lies below it. `undefined`: it has none (any more),
   * so what is there are misses and nothing new is kept. Called for each read and write; it must answer at once. The keys
   * of the ring above seal the global scope, and the names of root scopes. Default: one ring for all.
   */
  readonly keyFor?: (root: string) => KeyRing | undefined;
  /** Whether entries that were written before there was encryption may be used. Default `false`: they are misses. */
  readonly acceptPlain?: boolean;
}

const FORMAT = 1;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ID = /^[A-Za-z0-9_.-]{1,64}$/;
const NAMES = ['keys', 'current', 'keyFor', 'acceptPlain'];

/**
 * Encryption at rest by AES-256-GCM with a random nonce of 96 bits for each write. Rotate a key before it has sealed
 * 2^32 entries: beyond, the odds that a nonce was used twice, which gives away what both hide, exceed one in 2^33.
 *
 * To rotate, add a key and make it `current`; take the old one away when the longest TTL is over. What it sealed is then
 * a miss.
 * @throws InvalidOptionsError naming the option; never the key
 */
export function aes256Gcm(options: Aes256GcmOptions): ValueCipher {
  if (typeof options !== 'object' || options === null)
    throw wrong('options', '{ keys, current }', options);
  for (const name of Object.keys(options))
    if (!NAMES.includes(name))
      throw new InvalidOptionsError(
        `aes256Gcm: unknown option ${describe(name)}. Known: ${NAMES.join(', ')}.`,
      );
  const { keyFor, acceptPlain = false } = options;
  if (keyFor !== undefined && typeof keyFor !== 'function')
    throw wrong('keyFor', 'a function', keyFor);
  if (typeof acceptPlain !== 'boolean') throw wrong('acceptPlain', 'true or false', acceptPlain);
  return new Aes256Gcm(checkedRing(options, ''), keyFor, acceptPlain);
}

/**
 * What is sealed, one after the other:
 *
 *     u8 format, u8 length and id of the key, u32 length and the root scope (sealed itself), nonce, ciphertext, tag
 *
 * The root scope is there only where it has keys of its own. Sealed with the ring for all, it is `u8 length and id of the
 * key, nonce, ciphertext, tag`. All that comes before the nonce is associated data too.
 */
class Aes256Gcm implements ValueCipher {
  /** Rings that `keyFor` gave, checked; they go when the caller drops them. */
  readonly #checked = new WeakMap<KeyRing, CheckedRing>();

  constructor(
    readonly ring: CheckedRing,
    readonly keyFor: Aes256GcmOptions['keyFor'],
    readonly acceptsPlain: boolean,
  ) {}

  seal(plain: Uint8Array, associated: Uint8Array, root: string): Uint8Array {
    const hasOwnKeys = this.keyFor !== undefined && root !== '';
    const ring = hasOwnKeys ? this.#ringOf(root) : this.ring;
    if (!ring)
      throw new SerializationError(
        `Nothing is kept in scope ${root}: it has no encryption key (any more).`,
      );
    const name = hasOwnKeys ? sealRoot(this.ring, root) : NOTHING;
    const nameLength = Buffer.alloc(4);
    nameLength.writeUInt32LE(name.length);
    const prefix = Buffer.concat([Buffer.of(FORMAT), idOf(ring), nameLength, name]);
    const sealed = encrypt(ring.currentKey, plain, Buffer.concat([prefix, associated]));
    return Buffer.concat([prefix, ...sealed]);
  }

  open(sealed: Uint8Array, associated: Uint8Array, root: string | undefined): Uint8Array {
    const reader = new Reader(sealed);
    if (reader.take(1)[0] !== FORMAT) throw unreadable();
    const keyId = reader.take(reader.take(1)[0]!).toString('latin1');
    const name = reader.take(reader.take(4).readUInt32LE());
    const key = this.#ringFor(name, root)?.keys.get(keyId);
    if (!key)
      throw new SerializationError(
        'An encrypted entry was ignored: its key is not there (any more).',
      );
    const prefix = sealed.subarray(0, reader.at);
    return decrypt(key, reader.rest(), Buffer.concat([prefix, associated]));
  }

  #ringFor(name: Buffer, root: string | undefined): CheckedRing | undefined {
    if (name.length === 0) return this.ring;
    return this.#ringOf(root ?? openRoot(this.ring, name));
  }

  #ringOf(root: string): CheckedRing | undefined {
    const given = this.keyFor?.(root);
    if (!given) return undefined;
    if (isPromise<unknown>(given)) throw laterAnswer(given);
    let ring = this.#checked.get(given);
    if (!ring) this.#checked.set(given, (ring = checkedRing(given, 'keyFor: ')));
    return ring;
  }
}

/** A rejection that nobody hears must not end the process. */
function laterAnswer(promise: Promise<unknown>): InvalidOptionsError {
  promise.then(undefined, () => undefined);
  return new InvalidOptionsError(
    'aes256Gcm: keyFor: expected a ring of keys at once, got a promise. Fetch the keys beforehand, and look them up here.',
  );
}

interface CheckedRing {
  readonly keys: ReadonlyMap<string, KeyObject>;
  readonly current: string;
  readonly currentKey: KeyObject;
}

function checkedRing({ keys, current }: KeyRing, where: string): CheckedRing {
  if (typeof keys !== 'object' || keys === null)
    throw wrong(`${where}keys`, 'an object of keys by id', keys);
  const checked = new Map<string, KeyObject>();
  for (const [id, key] of Object.entries(keys)) {
    if (!KEY_ID.test(id))
      throw new InvalidOptionsError(
        `aes256Gcm: ${where}keys: an id must be 1 to 64 letters, digits, "_", "." and "-"; one of ${id.length} characters is not.`,
      );
    if (!(key instanceof Uint8Array) || key.length !== KEY_BYTES)
      throw new InvalidOptionsError(
        `aes256Gcm: ${where}keys: each key must be ${KEY_BYTES} bytes (a Uint8Array); got ${key instanceof Uint8Array ? `${key.length} bytes` : kindOf(key)}. Make one with crypto.randomBytes(${KEY_BYTES}).`,
      );
    checked.set(id, createSecretKey(key));
  }
  const currentKey = checked.get(current);
  if (!currentKey)
    throw new InvalidOptionsError(
      `aes256Gcm: ${where}current must be the id of one of the ${checked.size} keys.`,
    );
  return { keys: checked, current, currentKey };
}

function idOf({ current }: CheckedRing): Buffer {
  return Buffer.concat([Buffer.of(current.length), Buffer.from(current, 'latin1')]);
}

function sealRoot(ring: CheckedRing, root: string): Buffer {
  const id = idOf(ring);
  return Buffer.concat([id, ...encrypt(ring.currentKey, Buffer.from(root, 'utf8'), id)]);
}

function openRoot(ring: CheckedRing, sealed: Buffer): string {
  const reader = new Reader(sealed);
  const keyId = reader.take(reader.take(1)[0]!).toString('latin1');
  const key = ring.keys.get(keyId);
  if (!key) throw unreadable();
  return decrypt(key, reader.rest(), sealed.subarray(0, reader.at)).toString('utf8');
}

function encrypt(key: KeyObject, plain: Uint8Array, associated: Uint8Array): Buffer[] {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associated);
  return [nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()];
}

function decrypt(key: KeyObject, sealed: Buffer, associated: Uint8Array): Buffer {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw unreadable();
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(associated);
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const plain = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
  try {
    return Buffer.concat([plain, decipher.final()]);
  } catch (cause) {
    // The one thing that `final` can say is that the tag is not the right one.
    throw unreadable(cause);
  }
}

/** Takes bytes apart, from the front. */
class Reader {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  take(count: number): Buffer {
    if (this.at + count > this.#bytes.length) throw unreadable();
    return this.#bytes.subarray(this.at, (this.at += count));
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.at);
  }
}

function unreadable(cause?: unknown): SerializationError {
  return new SerializationError(
    'An encrypted entry was ignored: it was altered, belongs elsewhere, or was sealed with another key.',
    cause === undefined ? undefined : { cause },
  );
}

/** Never what came: it might be a key. */
function kindOf(value: unknown): string {
  return typeof value === 'string' ? 'a string' : typeof value;
}

function wrong(name: string, expected: string, got: unknown): InvalidOptionsError {
  return new InvalidOptionsError(`aes256Gcm: ${name}: expected ${expected}; got ${kindOf(got)}.`);
}

const NOTHING = Buffer.alloc(0);
