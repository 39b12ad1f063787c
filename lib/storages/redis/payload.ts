import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { PAYLOAD } from '../../core/envelope.js';
import { SerializationError } from '../../core/errors.js';
import type { CompressionOptions } from './redis-options.js';

/** Bytes of a payload and what was done to them. */
export interface Packed {
  readonly encoding: number;
  readonly payload: Uint8Array;
}

/** Deflates what is large, where it helps. */
export function pack(
  payload: Uint8Array,
  compression: Required<CompressionOptions> | undefined,
): Packed {
  if (!compression || payload.length <= compression.aboveBytes)
    return { encoding: PAYLOAD.plain, payload };
  const smaller = deflateRawSync(payload, { level: 1 });
  return smaller.length < payload.length
    ? { encoding: PAYLOAD.compressed, payload: smaller }
    : { encoding: PAYLOAD.plain, payload };
}

/**
 * Inflates, up to the limit even where compression is off: another process may have it on.
 * @throws SerializationError for what is too large, no deflated data, or encrypted
 */
export function unpack({ encoding, payload }: Packed, maxInflatedBytes: number): Uint8Array {
  if (encoding === PAYLOAD.plain) return payload;
  if (encoding !== PAYLOAD.compressed)
    throw new SerializationError('The payload is encrypted; this storage has no key.');
  try {
    return inflateRawSync(payload, { maxOutputLength: maxInflatedBytes });
  } catch (cause) {
    throw new SerializationError(
      `The payload does not inflate to ${maxInflatedBytes} bytes or fewer.`,
      { cause },
    );
  }
}
