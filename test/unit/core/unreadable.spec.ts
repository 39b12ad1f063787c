import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import type { Cache, CacheStorage, ClassCodec } from 'nestjs-scoped-cache';
import { fileStorage } from 'nestjs-scoped-cache/file';
import {
  createTestCache,
  ManualClock,
  mapStorage,
  RecordingListener,
} from 'nestjs-scoped-cache/testing';

class Money {
  constructor(readonly cents: number) {}
}
const MONEY: ClassCodec<Money, number> = {
  name: 'Money',
  type: Money,
  encode: ({ cents }) => cents,
  decode: (cents) => new Money(cents),
};

const directory = mkdtempSync(join(tmpdir(), 'unreadable-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let folders = 0;
const STORAGES: readonly (readonly [string, () => CacheStorage])[] = [
  ['a minimal storage', () => mapStorage()],
  ['files', () => fileStorage({ directory: join(directory, String(folders++)) })],
];

/** A release of the application that has the class, and the next one, which has it no more. */
describe.each(STORAGES)('an entry that cannot be read any more, in %s', (_name, makeStorage) => {
  async function setUp(): Promise<{ cache: Cache; listener: RecordingListener }> {
    const storage = makeStorage();
    const clock = new ManualClock();
    const before = createTestCache({ storage, codecs: [MONEY] }, { clock });
    await before.set('k', new Money(1), { scope: { org: 'o' }, tags: ['t'], grace: '1h' });
    await before.set('other', 1, { scope: { org: 'o' }, tags: ['t'] });
    const listener = new RecordingListener();
    return { cache: createTestCache({ storage, listener }, { clock }), listener };
  }
  const at = { scope: { org: 'o' } };

  it('is a miss, and reported', async () => {
    const { cache, listener } = await setUp();
    expect(await cache.get('k', at)).toBeUndefined();
    expect(await cache.has('k', at)).toBe(false);
    expect(await cache.getMany(['k', 'other'], at)).toEqual([undefined, 1]);
    expect(listener.faults[0]).toMatchObject({ key: 'k', error: { code: 'SERIALIZATION' } });
    await cache.close();
  });

  it('is replaced by what the next load brings', async () => {
    const { cache } = await setUp();
    let loads = 0;
    const load = (): string => `loaded ${++loads}`;
    expect(await cache.getOrSet('k', load, at)).toBe('loaded 1');
    expect(await cache.getOrSet('k', load, at)).toBe('loaded 1');
    await cache.close();
  });

  it('is removed like any other', async () => {
    const { cache } = await setUp();
    await cache.delete('k', at);
    expect(await cache.getOrSet('k', () => 'loaded', at)).toBe('loaded');
    await cache.close();
  });

  it('gives way to update, merge and increment', async () => {
    for (const change of [
      (cache: Cache) => cache.update('k', (current) => current ?? 'made', at),
      (cache: Cache) => cache.merge('k', { made: true }, at),
      (cache: Cache) => cache.increment('k', at),
    ]) {
      const { cache } = await setUp();
      await change(cache);
      expect(await cache.has('k', at)).toBe(true);
      await cache.close();
    }
  });

  it.each([
    ['evictScope', (cache: Cache) => cache.evictScope({ org: 'o' })],
    ['evictTags', (cache: Cache) => cache.evictTags('t')],
    ['expireScope', (cache: Cache) => cache.expireScope({ org: 'o' })],
    ['clear', (cache: Cache) => cache.clear()],
  ])('P5 does not keep %s from its work', async (_method, evict) => {
    const { cache } = await setUp();
    await evict(cache);
    expect(await cache.get('other', at)).toBeUndefined();
    await cache.close();
  });

  it('does not hide the others from listings and counts', async () => {
    const { cache } = await setUp();
    const keys: unknown[] = [];
    for await (const { key } of cache.entries({ scope: 'global', deep: true })) keys.push(key);
    expect(keys).toEqual(['other']);
    expect(await cache.removeExpired()).toBe(0);
    await cache.close();
  });
});
