import { describe, it } from '@jest/globals';
import { gunzipSync, gzipSync } from 'node:zlib';
import { jsonSerializer, SerializationError } from 'nestjs-scoped-cache';
import { serializerContract } from 'nestjs-scoped-cache/testing';
import { richSerializer } from '../unit/core/support/engine.js';

serializerContract({ name: 'rich JSON', makeSerializer: () => richSerializer(), describe, it });

/** As docs/storages.md shows it. */
serializerContract({
  name: 'gzip around the default one',
  makeSerializer: () => ({
    name: 'gzip',
    serialize: (value) => gzipSync(jsonSerializer().serialize(value)),
    deserialize(bytes) {
      return jsonSerializer().deserialize(unzipped(bytes));
    },
  }),
  describe,
  it,
});

function unzipped(bytes: Uint8Array): Uint8Array {
  try {
    return gunzipSync(bytes);
  } catch (cause) {
    throw new SerializationError('The stored bytes are not compressed.', { cause });
  }
}
