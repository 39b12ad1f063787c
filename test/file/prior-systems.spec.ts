/** Cases of earlier systems (PRIOR_SYSTEMS.md) that files and snapshots must cover; where ours differs, its equivalent. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { memoryStorage, type CacheStorage, type Serializer } from 'nestjs-scoped-cache';
import {
  fileStorage,
  inspectSnapshot,
  readSnapshot,
  withSnapshots,
} from 'nestjs-scoped-cache/file';
import { createTestCache, ManualClock, mapStorage } from 'nestjs-scoped-cache/testing';
import { decodeEnvelope } from '../../lib/core/envelope.js';
import { nodePlatform } from '../../lib/platform/node-platform.js';

let folder: string;
let clock: ManualClock;
let snapshot: string;
const opened: ReturnType<typeof createTestCache>[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nsc-prior-'));
  snapshot = join(folder, 'cache.snap');
  clock = new ManualClock();
});
afterEach(async () => {
  for (const cache of opened.splice(0)) await cache.close();
  rmSync(folder, { recursive: true, force: true });
});

function open(storage: CacheStorage, serializer?: Serializer): ReturnType<typeof createTestCache> {
  const cache = createTestCache(
    { storage, ttl: '1m', storageTimeout: '30s', ...(serializer && { serializer }) },
    { clock },
  );
  opened.push(cache);
  return cache;
}
const inFiles = (): CacheStorage => fileStorage({ directory: join(folder, 'cache') });
const inSnapshots = (): CacheStorage =>
  withSnapshots(memoryStorage(), { file: snapshot, every: 0, onShutdown: false });

/** Files of entries: names are digests. */
function entryFiles(): string[] {
  const names = readdirSync(join(folder, 'cache'), { recursive: true }).map(String);
  return names.filter((name) => /\/[0-9a-f]{40}$/.test(name) && name.includes('entries/'));
}

describe('smart_cache: dumps', () => {
  it('SC-19 a dump by hand says true; the file, in a form of its own rather than JSON, says when it was made and what is in it', async () => {
    const cache = open(inSnapshots());
    await cache.set('a', 1);
    await cache.set('b', 2, { scope: { org: 'o' } });
    const dumpedAt = clock.now();
    expect(await cache.dump()).toBe(true);
    expect(await inspectSnapshot(snapshot)).toEqual({
      isWhole: true,
      dumpedAt,
      count: 2,
      damaged: 0,
    });
    const keys: string[] = [];
    for await (const record of readSnapshot(snapshot))
      keys.push(decodeEnvelope(record, nodePlatform.checksum)!.key);
    expect(keys.sort()).toEqual(['a', 'b']);
    expect(await cache.stats()).toMatchObject({
      storageType: 'memory',
      totalKeys: 2,
      storage: { dumps: 1, dumpedEntries: 2, lastDumpAt: dumpedAt },
    });
  });

  it('SC-26 what has expired is not in a dump', async () => {
    const cache = open(inSnapshots());
    await cache.set('gone', 1, { ttl: 1 });
    await cache.set('stays', 2);
    clock.advance(1_000);
    await cache.dump();
    expect(await inspectSnapshot(snapshot)).toMatchObject({ isWhole: true, count: 1 });
  });
});

describe('user_details_cache: persistence', () => {
  it('UD-23 after a set there is a file that holds the entry with its end, one for each entry rather than one for all', async () => {
    const cache = open(inFiles());
    await cache.set('t1', { name: 'Ann' });
    await cache.set('t2', { name: 'Ben' }, { scope: { org: 'o' } });
    expect(entryFiles()).toHaveLength(2);
    const found = entryFiles().map((name) => {
      const bytes = readFileSync(join(folder, 'cache', name)).subarray(8);
      return decodeEnvelope(bytes, nodePlatform.checksum)!;
    });
    expect(found.map(({ key }) => key).sort()).toEqual(['t1', 't2']);
    for (const { storedAt, ttlMs } of found) expect(storedAt + ttlMs).toBe(clock.now() + 60_000);
  });

  it('UD-25 after a restart past the TTL: a miss, and the entry is gone from the folder', async () => {
    await open(inFiles()).set('k', 1);
    await opened.pop()!.close();
    clock.advance(60_000);
    const cache = open(inFiles());
    expect(await cache.lookup('k')).toEqual({ hit: false });
    expect(entryFiles()).toHaveLength(1);
    expect(await cache.removeExpired()).toBe(1);
    expect(entryFiles()).toEqual([]);
  });

  it('UD-25 after a restart past the TTL: it is not restored, and the next dump is without it', async () => {
    const before = open(inSnapshots());
    await before.set('k', 1);
    await before.dump();
    clock.advance(60_000);
    const cache = open(inSnapshots());
    expect(await cache.restore()).toMatchObject({ restored: 0, expired: 1 });
    expect(await cache.size()).toBe(0);
    await cache.dump();
    expect(await inspectSnapshot(snapshot)).toMatchObject({ count: 0 });
  });
});

describe('PocketCache: the file system', () => {
  /** Output that is no text in any encoding. */
  const binary: Serializer = {
    name: 'v8',
    serialize: (value) =>
      Buffer.concat([Buffer.of(0xff, 0xfe, 0x00, 0xc3, 0x28), serialize(value)]),
    deserialize: (bytes) => deserialize(bytes.subarray(5)) as unknown,
  };

  it.each([
    ['files', inFiles],
    ['snapshots', inSnapshots],
    ['a minimal storage', mapStorage],
  ] as const)('PC-17 a binary serializer of one’s own works on %s', async (name, make) => {
    const value = { big: 1n, at: new Date(5), of: new Map([['ü', new Uint8Array([0, 255])]]) };
    const cache = open(make(), binary);
    await cache.set('k', value, { tags: ['t'] });
    expect(await cache.get('k')).toEqual(value);
    if (name !== 'snapshots') return;
    await cache.dump();
    expect(readFileSync(snapshot).includes(Buffer.from(binary.serialize(value)))).toBe(true);
    const next = open(make(), binary);
    await next.restore();
    expect(await next.get('k')).toEqual(value);
  });

  it('PC-23 a deletion removes the file; what is missing is no error', async () => {
    const cache = open(inFiles());
    await cache.set('k', 1);
    const [name] = entryFiles();
    expect(await cache.delete('k')).toBe(true);
    expect(existsSync(join(folder, 'cache', name!))).toBe(false);
    expect(await cache.delete('k')).toBe(false);
    expect(await cache.delete('never')).toBe(false);
  });

  it('PC-28 after a hundred overwrites the last value is there, whole, in one file', async () => {
    const cache = open(inFiles());
    for (let n = 0; n < 100; n++) await cache.set('k', { n, text: `${n} `.repeat(2_000) });
    expect(await cache.get('k')).toEqual({ n: 99, text: '99 '.repeat(2_000) });
    expect(entryFiles()).toHaveLength(1);
  });

  it('PC-28 fifty writers of one key at once, in two caches: each read sees one of their values, whole', async () => {
    const caches = [open(inFiles()), open(inFiles())];
    const text = (n: number): string => `${n} `.repeat(5_000);
    await caches[0]!.set('k', text(0));
    let isOver = false;
    let reads = 0;
    const reading = caches.map(async (cache) => {
      while (!isOver) {
        const seen = await cache.get<string>('k');
        expect(seen).toBe(text(Number.parseInt(seen!, 10)));
        reads++;
      }
    });
    await Promise.all(Array.from({ length: 50 }, (_, n) => caches[n % 2]!.set('k', text(n))));
    isOver = true;
    await Promise.all(reading);
    expect(reads).toBeGreaterThan(2);
    expect(await caches[0]!.get('k')).toBe(await caches[1]!.get('k'));
    const left = readdirSync(join(folder, 'cache'), { recursive: true }).map(String);
    expect(left.filter((one) => one.endsWith('.tmp'))).toEqual([]);
  });
});
