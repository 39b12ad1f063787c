import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type { CacheFault } from '../../../lib/core/cache-listener.js';
import type { Cache } from '../../../lib/core/cache.js';
import type { CacheStorage } from '../../../lib/core/storage.js';
import { fileStorage } from '../../../lib/file.js';
import type { Serializer } from '../../../lib/index.js';
import { mapStorage } from '../../../lib/testing/map-storage.js';
import { makeCache } from '../../support/make-cache.js';

const CANARY = 'S3CR3T-7731';
/** As most people write one: its errors are whatever JSON throws. */
const naive: Serializer = {
  name: 'naive',
  serialize: (value) => new TextEncoder().encode(JSON.stringify(value)),
  deserialize: (bytes) => JSON.parse(new TextDecoder().decode(bytes)) as unknown,
};

const directory = mkdtempSync(join(tmpdir(), 'nsc-serializer-'));
const caches: Cache[] = [];
let faults: CacheFault[];
beforeEach(() => {
  faults = [];
});
afterAll(async () => {
  await Promise.all(caches.map((cache) => cache.close()));
  rmSync(directory, { recursive: true });
});

function make(storage: CacheStorage, serializer: Serializer): Cache {
  const listener = { onFault: (fault: CacheFault) => void faults.push(fault) };
  const cache = makeCache({ storage, serializer, onStorageError: 'throw', listener });
  caches.push(cache);
  return cache;
}

/** One store of bytes for several caches. */
const STORES: readonly (readonly [string, () => CacheStorage])[] = [
  ['file', () => fileStorage({ directory: join(directory, 'cache') })],
  ['a minimal one', () => mapStorage()],
];

describe.each(STORES)('a serializer that throws errors of its own, on %s', (_, open) => {
  test('P10 what it cannot write down is refused to whoever set it, and the storage goes on', async () => {
    const cache = make(open(), naive);
    for (let round = 0; round < 10; round++)
      await expect(cache.set('big', 10n)).rejects.toMatchObject({ code: 'SERIALIZATION' });
    await expect(cache.set('big', 10n)).rejects.toThrow(/"naive".*BigInt/);
    await cache.set('fine', 1);
    expect(await cache.get('fine')).toBe(1);
    expect((await cache.stats()).storage.circuitOpen ?? 0).toBe(0);
  });

  test('P12 P15 what it cannot read is a miss, is loaded anew, and opens no circuit; the report does not quote it (P4)', async () => {
    const storage = open();
    const shouting: Serializer = {
      ...naive,
      serialize: (value) => new TextEncoder().encode(`${CANARY} ${JSON.stringify(value)}`),
    };
    const cache = make(storage, shouting);
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) {
      await cache.set(key, key);
      expect(await cache.get(key)).toBeUndefined();
      expect(await cache.getOrSet(key, () => 'loaded')).toBe('loaded');
      expect(await cache.increment(`n${key}`)).toBe(1);
    }
    expect((await cache.stats()).storage.circuitOpen ?? 0).toBe(0);
    expect(faults[0]).toMatchObject({ during: 'read', error: { code: 'SERIALIZATION' } });
    expect(inspect(faults, { depth: 9 })).not.toContain('S3CR3T');
  });

  test('P10 bytes that are none are refused', async () => {
    const text = { ...naive, serialize: (value: unknown) => JSON.stringify(value) as never };
    await expect(make(open(), text).set('k', 1)).rejects.toThrow(
      /"naive" answered with a string; serialize must return a Uint8Array/,
    );
  });
});
