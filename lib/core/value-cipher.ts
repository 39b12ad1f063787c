import { InvalidOptionsError } from './errors.js';

/**
 * Makes bytes unreadable and unalterable for whoever has only the disk or the server. Synchronous. The core knows neither
 * algorithm nor keys; `aes256Gcm` is the one that comes with the package.
 */
export interface ValueCipher {
  /** Whether entries that were written without encryption may be used. Where they may, whoever can write there can forge. */
  readonly acceptsPlain: boolean;
  /**
   * @param associated must be the same, byte for byte, to open what comes out; it is not part of it
   * @param root the root scope whose key to use, as {@link rootOf} names it
   * @throws SerializationError when there is no key for this root scope
   */
  seal(plain: Uint8Array, associated: Uint8Array, root: string): Uint8Array;
  /**
   * @param root as for {@link ValueCipher.seal}; `undefined` where a walk came across the bytes and nobody knows yet
   * @throws SerializationError for bytes that were altered, that belong elsewhere, or whose key is not there (any more).
   * The message names neither keys nor their ids.
   */
  open(sealed: Uint8Array, associated: Uint8Array, root: string | undefined): Uint8Array;
}

/** The root scope that a scope lies in: `'org:acme'` for `'org:acme/user:u1'`, `''` for the global scope. */
export function rootOf(scopeId: string): string {
  const end = scopeId.indexOf('/');
  return end === -1 ? scopeId : scopeId.slice(0, end);
}

/**
 * @param option as in messages: `'fileStorage: encryption'`
 * @throws InvalidOptionsError for anything but a cipher; never says what came, which might be a key
 * @internal
 */
export function checkedCipher(given: unknown, option: string): ValueCipher | undefined {
  if (given === undefined) return undefined;
  const { seal, open } = (given ?? {}) as Partial<Record<keyof ValueCipher, unknown>>;
  if (typeof seal !== 'function' || typeof open !== 'function')
    throw new InvalidOptionsError(
      `${option}: expected a cipher, for example aes256Gcm({ keys, current }); got something without seal and open.`,
    );
  return given as ValueCipher;
}
