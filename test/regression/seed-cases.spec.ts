import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  Cacheable,
  CacheModule,
  CACHE_PLATFORM,
  CacheService,
  decoratedKey,
  lru,
  memoryStorage,
  type CacheModuleOptions,
  type Duration,
} from 'nestjs-scoped-cache';
import { createTestCache, ManualClock, mapStorage } from 'nestjs-scoped-cache/testing';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileStorage } from 'nestjs-scoped-cache/file';
import { manualPlatform } from '../support/nest/manual-platform.js';

/** Cases of the earlier systems that no other spec names, in terms of this package. */

@Injectable()
class Invoices {
  runs = 0;
  @Cacheable()
  async find(id: number): Promise<string> {
    this.runs++;
    return `invoice ${id}`;
  }
}

@Injectable()
class Customers {
  runs = 0;
  @Cacheable()
  async find(id: number): Promise<string> {
    this.runs++;
    return `customer ${id}`;
  }
}

async function start(options: () => CacheModuleOptions, platform = manualPlatform()) {
  const module = await Test.createTestingModule({
    imports: [CacheModule.forRootAsync({ useFactory: options })],
    providers: [Invoices, Customers],
  })
    .overrideProvider(CACHE_PLATFORM)
    .useValue(platform)
    .compile();
  return module.init();
}

describe('cacheado and PocketCache', () => {
  it('CA-33 a method under lru({ max: 2 }): results are right after an eviction, and what left is computed anew', async () => {
    const app = await start(() => ({ rules: [lru({ max: 2 })] }));
    const invoices = app.get(Invoices);
    for (const id of [1, 2, 3, 1, 1, 3]) expect(await invoices.find(id)).toBe(`invoice ${id}`);
    // 1 left for 3, then 2 for 1; the last two are hits.
    expect(invoices.runs).toBe(4);
    expect(await app.get(CacheService).size()).toBe(2);
    await app.close();
  });

  it('PC-12 methods of one name in two classes do not share entries', async () => {
    const app = await start(() => ({}));
    expect(await app.get(Invoices).find(1)).toBe('invoice 1');
    expect(await app.get(Customers).find(1)).toBe('customer 1');
    await app.get(CacheService).delete(decoratedKey('Invoices.find', 1));
    await app.get(Invoices).find(1);
    await app.get(Customers).find(1);
    expect([app.get(Invoices).runs, app.get(Customers).runs]).toEqual([2, 1]);
    await app.close();
  });

  it.each([
    ['memory', () => memoryStorage()],
    ['bytes', () => mapStorage()],
  ])('PC-32 of an async method the awaited value is stored, on %s', async (_, storage) => {
    const app = await start(() => ({ storage: storage() }));
    expect([await app.get(Invoices).find(1), await app.get(Invoices).find(1)]).toEqual([
      'invoice 1',
      'invoice 1',
    ]);
    expect(app.get(Invoices).runs).toBe(1);
    expect(await app.get(CacheService).get(decoratedKey('Invoices.find', 1))).toBe('invoice 1');
    await app.close();
  });
});

describe('rcache-live', () => {
  it('RC-21 a storage that does not follow idle times removes nothing by them, and says so instead of 0', async () => {
    const cache = createTestCache({ storage: mapStorage() });
    await cache.set('k', 1);
    await expect(cache.removeIdle('1s')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect(await cache.has('k')).toBe(true);
  });

  it('RC-23 a sweep that finds more than goes at once goes on until nothing is due', async () => {
    const clock = new ManualClock();
    const cache = createTestCache({ storage: memoryStorage({ sweepEvery: '5s' }) }, { clock });
    const keys = Array.from({ length: 25_000 }, (_, at) => [`k${at}`, at] as const);
    await cache.setMany(keys, { ttl: 1 });
    const entries = () => cache.storage.figures!()['entries'];
    await clock.advanceAsync(5_000);
    expect(entries()).toBe(15_000);
    await clock.advanceAsync(10);
    expect(entries()).toBe(0);
    await cache.close();
  });

  it('RC-23 the sweep in the background: on by default, off by option, one for the cache, gone when it closes', async () => {
    const clock = new ManualClock();
    const swept = createTestCache({ storage: memoryStorage() }, { clock });
    await Promise.all(['a', 'b', 'c'].map((key) => swept.set(key, 1, { ttl: 1 })));
    expect(clock.pending).toBe(1);
    clock.advance(10_000);
    expect((await swept.stats()).storage['entries']).toBe(0);

    await swept.set('k', 1);
    await swept.close();
    expect(clock.pending).toBe(0);

    const unswept = createTestCache(
      { storage: memoryStorage({ sweepEvery: 'forever' }) },
      { clock },
    );
    await unswept.set('k', 1, { ttl: 1 });
    expect(clock.pending).toBe(0);
    clock.advance(10_000);
    expect(await unswept.removeExpired()).toBe(1);
  });

  it('RC-28 settings that come from the environment are really used', async () => {
    Object.assign(process.env, { TEST_TTL: '7s', TEST_NAMESPACE: 'shop', TEST_SLIDING: 'no' });
    const platform = manualPlatform();
    const app = await start(
      () => ({
        ttl: process.env['TEST_TTL'] as Duration,
        namespace: process.env['TEST_NAMESPACE']!,
      }),
      platform,
    );
    const cache = app.get(CacheService);
    expect(cache.namespace).toBe('shop');
    await cache.set('k', 1, { sliding: process.env['TEST_SLIDING'] === 'yes' });
    platform.clock.advance(6_999);
    expect(await cache.get('k')).toBe(1);
    platform.clock.advance(1);
    expect(await cache.has('k')).toBe(false);
    await app.close();
    for (const name of ['TTL', 'NAMESPACE', 'SLIDING'])
      Reflect.deleteProperty(process.env, `TEST_${name}`);
  });
});

describe('user-details-cache', () => {
  it('UD-19 the figures after two sets: two live entries, none expired, and the settings in force', async () => {
    const clock = new ManualClock();
    const cache = createTestCache({ storage: memoryStorage(), ttl: '24h' }, { clock });
    await cache.set('t1', { name: 'a' });
    await cache.set('t2', { name: 'b' });
    expect(await cache.stats()).toMatchObject({
      totalKeys: 2,
      sets: 2,
      storageType: 'memory',
      storage: { entries: 2, maxEntries: 1_000_000 },
    });
    clock.advance(86_400_000 - 1);
    expect((await cache.stats()).totalKeys).toBe(2);
    clock.advance(1);
    expect((await cache.stats()).totalKeys).toBe(0);
  });

  it('UD-20 the figures tell whether entries are in files', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'seed-'));
    const inFiles = createTestCache({ storage: fileStorage({ directory }) });
    expect((await createTestCache({ storage: memoryStorage() }).stats()).storageType).toBe(
      'memory',
    );
    expect((await inFiles.stats()).storageType).toBe('file');
    await inFiles.close();
    await rm(directory, { recursive: true });
  });
});
