import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { EntrySealer } from '../../lib/core/entry-sealer.js';
import { PAYLOAD, type EnvelopeFields } from '../../lib/core/envelope.js';
import { rootOf } from '../../lib/core/value-cipher.js';
import { aes256Gcm, type Aes256GcmOptions } from '../../lib/platform/aes256-gcm.js';
import { nodePlatform } from '../../lib/platform/node-platform.js';
import { at } from '../support/file/store.js';

const SECRET = 'hunter2';
const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const FIELDS: EnvelopeFields = {
  encoding: PAYLOAD.plain,
  scope: 'org:acme/user:alice',
  key: 'salary',
  storedAt: 1_700_000_000_123,
  ttlMs: 300_000,
  graceMs: 1_000,
  sliding: true,
  tags: ['payroll'],
  loadMs: 12.5,
  extra: 'epochs',
  payload: new TextEncoder().encode(SECRET),
};
const HERE = at('salary', { org: 'acme', user: 'alice' });

function sealer(options: Aes256GcmOptions | undefined, namespace = 'cache'): EntrySealer {
  return new EntrySealer({ ...nodePlatform, namespace }, options && aes256Gcm(options));
}
const ONE: Aes256GcmOptions = { keys: { k1: key(1) }, current: 'k1' };

function open(by: EntrySealer, bytes: Uint8Array, place = HERE): EnvelopeFields | undefined {
  const envelope = by.decode(bytes);
  if (!envelope) return undefined;
  const { encoding, scope, key, storedAt, ttlMs, graceMs, sliding, tags, loadMs, extra, payload } =
    by.open(envelope, bytes, place);
  return {
    encoding,
    scope,
    key,
    storedAt,
    ttlMs,
    graceMs,
    sliding,
    tags,
    loadMs,
    extra,
    payload: Uint8Array.from(payload),
  };
}

describe('sealed envelopes', () => {
  it('come back as they were written, with the key of their time (rotation)', () => {
    const old = sealer(ONE).encode(FIELDS);
    expect(open(sealer(ONE), old)).toEqual(FIELDS);
    const rotated = sealer({ keys: { k1: key(1), k2: key(2) }, current: 'k2' });
    expect(open(rotated, old)).toEqual(FIELDS);
    const fresh = rotated.encode(FIELDS);
    expect(open(rotated, fresh)).toEqual(FIELDS);
    expect(() => open(sealer(ONE), fresh)).toThrow(/its key is not there/);
  });

  it('show neither scope, key, tags nor value, and no two are alike', () => {
    const [one, other] = [sealer(ONE).encode(FIELDS), sealer(ONE).encode(FIELDS)];
    for (const word of ['acme', 'alice', 'salary', 'payroll', 'epochs', SECRET])
      expect(Buffer.from(one).includes(word)).toBe(false);
    expect(Buffer.compare(one, other)).not.toBe(0);
  });

  it('with every byte altered in turn, checksums made right again: none opens, times and flags included', () => {
    const by = sealer(ONE);
    const good = by.encode(FIELDS);
    let opened = 0;
    for (let offset = 0; offset < good.length; offset++)
      for (const bit of [1, 4, 128]) {
        const bad = Uint8Array.from(good);
        bad[offset]! ^= bit;
        const view = new DataView(bad.buffer);
        view.setUint32(32, nodePlatform.checksum(bad.subarray(0, 32)), true);
        view.setUint32(36, nodePlatform.checksum(bad.subarray(40)), true);
        try {
          const fields = open(by, bad);
          if (!fields) continue;
          expect(fields).toEqual(FIELDS);
          opened++;
        } catch (error) {
          expect(error).toMatchObject({ code: 'SERIALIZATION' });
        }
      }
    // The eight bytes of the checksums themselves, three bits each, were made right again; and a text may be marked as wide
    // where it is empty. Nothing else opens, not even with the same fields.
    expect(opened).toBeLessThanOrEqual(8 * 3 + 3);
  });

  it('P1 moved to another key, scope, root or namespace: none opens', () => {
    const by = sealer(ONE);
    const bytes = by.encode(FIELDS);
    for (const place of [
      at('other', { org: 'acme', user: 'alice' }),
      at('salary', { org: 'acme', user: 'eve' }),
      at('salary', { org: 'other', user: 'alice' }),
      at('salary'),
    ])
      expect(() => open(by, bytes, place)).toThrow(/belongs elsewhere/);
    expect(() => open(sealer(ONE, 'other'), bytes)).toThrow(/belongs elsewhere/);
  });

  it('another key under the same id opens nothing', () => {
    const bytes = sealer(ONE).encode(FIELDS);
    expect(() => open(sealer({ keys: { k1: key(9) }, current: 'k1' }), bytes)).toThrow(
      /another key/,
    );
  });

  it('keys that are fetched when they are needed are refused by name, and a failure to fetch them does not end the process', () => {
    const cipher = aes256Gcm({ ...ONE, keyFor: () => Promise.reject(new Error('away')) as never });
    expect(() => cipher.seal(key(0), key(0), 'org:acme')).toThrow(
      /keyFor: expected a ring of keys at once, got a promise/,
    );
  });

  it('a root scope whose key is dropped is erased, the others are not; a walk finds the key by itself', () => {
    const rings = new Map([
      ['org:acme', { keys: { a1: key(3) }, current: 'a1' }],
      ['org:other', { keys: { a1: key(4) }, current: 'a1' }],
    ]);
    const by = sealer({ ...ONE, keyFor: (root) => rings.get(root) });
    const acme = by.encode(FIELDS);
    const other = by.encode({ ...FIELDS, scope: 'org:other' });
    const global = by.encode({ ...FIELDS, scope: '' });
    expect(open(by, acme)).toEqual(FIELDS);
    expect(by.open(by.decode(acme)!, acme).key).toBe('salary');
    expect(Buffer.from(acme).includes('acme')).toBe(false);
    rings.delete('org:acme');
    expect(() => open(by, acme)).toThrow(/key is not there/);
    expect(() => by.encode(FIELDS)).toThrow(/Nothing is kept in scope org:acme/);
    expect(open(by, other, at('salary', { org: 'other' }))?.scope).toBe('org:other');
    expect(open(by, global, at('salary'))?.scope).toBe('');
  });

  it('in plain text are refused, unless they are accepted for a while', () => {
    const plain = sealer(undefined).encode(FIELDS);
    expect(() => open(sealer(ONE), plain)).toThrow(/acceptPlain/);
    expect(open(sealer({ ...ONE, acceptPlain: true }), plain)).toEqual(FIELDS);
    expect(() => open(sealer(undefined), sealer(ONE).encode(FIELDS))).toThrow(/no cipher/);
  });

  it('of version 1 can be opened for ever (corpus)', () => {
    const corpus = new URL('../fixtures/sealed/', import.meta.url);
    const keys = { k1: key(1), t1: key(2) };
    const one = { keys, current: 'k1' };
    for (const [name, by] of [
      ['v1-one-ring', sealer(one)],
      ['v1-key-of-its-root', sealer({ ...one, keyFor: () => ({ keys, current: 't1' }) })],
    ] as const)
      expect(open(by, readFileSync(new URL(`${name}.bin`, corpus)))).toEqual(FIELDS);
  });
});

describe('options of aes256Gcm', () => {
  it.each([
    ['no options', undefined, /options: expected/],
    ['no keys', { current: 'a' }, /keys: expected an object/],
    ['a short key', { keys: { a: randomBytes(16) }, current: 'a' }, /32 bytes.*got 16 bytes/],
    ['a text', { keys: { a: SECRET }, current: 'a' }, /32 bytes.*got a string/],
    ['an id that is none', { keys: { [SECRET + '/']: key(1) }, current: 'a' }, /an id must be/],
    ['an unknown current', { keys: { a: key(1) }, current: SECRET }, /current must be the id/],
    ['an unknown option', { ...ONE, algorithm: 'rot13' }, /unknown option "algorithm"/],
    ['no function', { ...ONE, keyFor: 'x' }, /keyFor: expected a function/],
    ['no flag', { ...ONE, acceptPlain: 'yes' }, /acceptPlain: expected true or false/],
  ])('%s: refused, naming the option and never a key', (_name, options, message) => {
    const make = (): unknown => aes256Gcm(options as never);
    expect(make).toThrow(message);
    try {
      make();
    } catch (error) {
      expect(error).toMatchObject({ code: 'INVALID_OPTIONS' });
      expect(String(error)).not.toContain(SECRET);
    }
  });

  it('the root of a scope is its first level', () => {
    expect(['', 'org:a', 'org:a/user:b/session:c'].map(rootOf)).toEqual(['', 'org:a', 'org:a']);
  });
});
