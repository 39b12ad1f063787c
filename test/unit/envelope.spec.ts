import { readdirSync, readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decodeEnvelope,
  encodeEnvelope,
  encodeEnvelopeHead,
  PAYLOAD,
  type Envelope,
  type EnvelopeFields,
} from '../../lib/core/envelope.js';

const CORPUS = new URL('../fixtures/envelopes/', import.meta.url);
const checksum = (bytes: Uint8Array): number => crc32(bytes);

const SAMPLE: EnvelopeFields = {
  encoding: PAYLOAD.plain,
  scope: 'org:o1/user:u1',
  key: '["profile",42]',
  storedAt: 1_700_000_000_123,
  ttlMs: 300_000,
  graceMs: 0,
  sliding: true,
  tags: ['a', 'ünïcode', ''],
  loadMs: 12.5,
  extra: 'epochs',
  payload: new TextEncoder().encode('{"a":1}'),
};

function fieldsOf(envelope: Envelope | undefined): EnvelopeFields | undefined {
  if (!envelope) return undefined;
  const { encoding, scope, key, storedAt, ttlMs, graceMs, sliding, tags, loadMs, extra } = envelope;
  const payload = Uint8Array.from(envelope.payload);
  return { encoding, scope, key, storedAt, ttlMs, graceMs, sliding, tags, loadMs, extra, payload };
}

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
);
const anyFields: fc.Arbitrary<EnvelopeFields> = fc.record({
  encoding: fc.constantFrom(0, 1, 2, 3),
  scope: text,
  key: text,
  storedAt: fc.double({ noNaN: true }),
  ttlMs: fc.oneof(fc.constant(Infinity), fc.double({ noNaN: true })),
  graceMs: fc.oneof(fc.constant(Infinity), fc.double({ noNaN: true })),
  sliding: fc.boolean(),
  tags: fc.array(text, { maxLength: 5 }),
  loadMs: fc.option(fc.double({ noNaN: true }), { nil: undefined }),
  extra: text,
  payload: fc.uint8Array(),
});

describe('envelope', () => {
  test('comes back as it was written, whatever the texts hold (P10)', () => {
    fc.assert(
      fc.property(anyFields, (fields) => {
        const envelope = decodeEnvelope(encodeEnvelope(fields, checksum), checksum);
        expect(fieldsOf(envelope)).toEqual(fields);
        expect(envelope!.isFor(fields.scope, fields.key)).toBe(true);
      }),
    );
  });

  test('is for its own place only (P1)', () => {
    fc.assert(
      fc.property(text, text, text, text, (scope, key, otherScope, otherKey) => {
        const envelope = decodeEnvelope(
          encodeEnvelope({ ...SAMPLE, scope, key }, checksum),
          checksum,
        )!;
        expect(envelope.isFor(otherScope, otherKey)).toBe(scope === otherScope && key === otherKey);
      }),
    );
  });

  test('any flipped bit or truncation gives the true fields or nothing', () => {
    const bytes = encodeEnvelope(SAMPLE, checksum);
    for (let at = 0; at < bytes.length; at++) {
      expect(decodeEnvelope(bytes.subarray(0, at), checksum)).toBeUndefined();
      for (let bit = 1; bit < 256; bit++) {
        const flipped = Uint8Array.from(bytes);
        flipped[at]! ^= bit;
        expect(decodeEnvelope(flipped, checksum)).toBeUndefined();
      }
    }
    expect(decodeEnvelope(new Uint8Array([...bytes, 0]), checksum)).toBeUndefined();
  });

  test('foreign bytes with valid checksums never throw', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 80 }),
        fc.integer({ min: 0, max: 15 }),
        (body, flags) => {
          const bytes = encodeEnvelope(
            {
              ...SAMPLE,
              scope: '',
              key: '',
              extra: '',
              tags: [],
              loadMs: undefined,
              payload: body,
            },
            checksum,
          );
          const forged = Uint8Array.from([...bytes.subarray(0, 40), ...body]);
          forged[3] = flags;
          const view = new DataView(forged.buffer);
          view.setUint32(4, body.length, true);
          view.setUint32(32, crc32(forged.subarray(0, 32)), true);
          view.setUint32(36, crc32(forged.subarray(40)), true);
          fieldsOf(decodeEnvelope(forged, checksum));
        },
      ),
    );
  });

  test('a newer version or unknown flag is a miss', () => {
    for (const [at, value] of [
      [2, 2],
      [3, 0x10],
    ] as const) {
      const bytes = Uint8Array.from(encodeEnvelope(SAMPLE, checksum));
      bytes[at] = value;
      new DataView(bytes.buffer).setUint32(32, crc32(bytes.subarray(0, 32)), true);
      expect(decodeEnvelope(bytes, checksum)).toBeUndefined();
    }
  });

  test('renewing overwrites the head alone', () => {
    const bytes = encodeEnvelope(SAMPLE, checksum);
    const times = { storedAt: 5, ttlMs: Infinity, graceMs: 7 };
    const renewed = Uint8Array.from(bytes);
    renewed.set(encodeEnvelopeHead(bytes, times, checksum));
    expect(fieldsOf(decodeEnvelope(renewed, checksum))).toEqual({ ...SAMPLE, ...times });
  });

  test('reads the envelopes of every released format', () => {
    const names = readdirSync(CORPUS).filter((name) => name.endsWith('.bin'));
    expect(names.length).toBeGreaterThan(3);
    for (const name of names) {
      const expected = JSON.parse(
        readFileSync(new URL(name.replace('.bin', '.json'), CORPUS), 'utf8'),
      ) as object;
      const fields = fieldsOf(decodeEnvelope(readFileSync(new URL(name, CORPUS)), checksum))!;
      expect(JSON.parse(printable(fields))).toEqual(expected);
    }
  });
});

/** JSON has neither Infinity nor bytes. */
function printable(fields: EnvelopeFields): string {
  return JSON.stringify(fields, (_, value: unknown) =>
    value instanceof Uint8Array
      ? Buffer.from(value).toString('hex')
      : value === Infinity
        ? 'Infinity'
        : value,
  );
}
