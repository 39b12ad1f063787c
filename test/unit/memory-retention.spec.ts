import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { lru, memoryStorage, type Cache, type CacheOptions } from 'nestjs-scoped-cache';
import { createTestCache, ManualClock } from 'nestjs-scoped-cache/testing';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Keeps values as they are, and knows which of them are still in memory. */
class Watched {
  readonly #values: WeakRef<object>[] = [];

  make(): object {
    const value = { text: 'v' };
    this.#values.push(new WeakRef(value));
    return value;
  }

  /** WeakRefs hold what was made until the turn is over. */
  async inMemory(): Promise<number> {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    return this.#values.filter((value) => value.deref() !== undefined).length;
  }
}

const open = (options: CacheOptions = {}): Cache =>
  createTestCache(
    { storage: memoryStorage(), isolation: 'none', ...options },
    { clock: new ManualClock() },
  );

describe('P16 what has left the memory storage is not kept in memory', () => {
  const LONG = { ttl: '7d' } as const;
  const leaving: readonly (readonly [string, (cache: Cache) => Promise<unknown>])[] = [
    ['deleted', (cache) => cache.delete('k')],
    ['evicted with its scope', (cache) => cache.evictScope('global')],
    ['evicted by a tag', (cache) => cache.evictTags('t')],
    ['cleared', (cache) => cache.clear()],
    ['replaced by something of a shorter life', (cache) => cache.set('k', 1, { ttl: 1 })],
    [
      'touched to a shorter life and deleted',
      async (cache) => {
        await cache.touch('k', { ttl: 1 });
        await cache.delete('k');
      },
    ],
  ];

  it.each(leaving)('%s, however long it was to live', async (_, leave) => {
    const cache = open();
    const watched = new Watched();
    await cache.set('k', watched.make(), { ...LONG, tags: ['t'] });
    expect(await watched.inMemory()).toBe(1);
    await leave(cache);
    expect(await watched.inMemory()).toBe(0);
  });

  it.each([
    ['', {}],
    [', by the rule lru either', { rules: [lru({ max: 10 })] }],
  ] as const)('nor is what came after it%s', async (_, options) => {
    const cache = open(options);
    const watched = new Watched();
    await cache.set('first', 1, LONG);
    await cache.set('k', watched.make());
    await cache.delete('first');
    for (let version = 0; version < 100; version++) await cache.set('k', watched.make());
    expect(await watched.inMemory()).toBe(1);
    expect(await cache.has('k')).toBe(true);
  });

  it('nor what a key held before that is touched again and again', async () => {
    const cache = open();
    const watched = new Watched();
    for (let version = 0; version < 100; version++) {
      await cache.update('k', () => watched.make());
      await cache.touch('k', { ttl: 60 + version });
    }
    expect(await watched.inMemory()).toBe(1);
  });
});
