import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { StorageDriver } from '../../lib/core/storage.js';
import { memoryStorage } from '../../lib/storages/memory/index.js';
import { tieredStorage } from '../../lib/storages/tiered/index.js';
import { makeCache } from '../support/make-cache.js';
import { BEAT_MS, Fleet, turns, type Node } from './support.js';

const USER = { org: 'o1', user: 'u1' };

let fleet: Fleet;
let a: Node;
let b: Node;

beforeEach(async () => {
  fleet = new Fleet();
  a = await fleet.node();
  b = await fleet.node();
});
afterEach(() => fleet.close());

/** As when one Redis is both. */
async function takeAway(): Promise<void> {
  fleet.far.isAway = true;
  for (const { link } of fleet.nodes) link.disconnect();
  await fleet.advance(1);
}
async function bringBack(): Promise<void> {
  fleet.far.isAway = false;
  for (const { link } of fleet.nodes) link.connect();
  await fleet.advance(1);
}

describe('P12 while the far tier is away', () => {
  test('near values serve for staleWhileAway after the last moment at which nothing can have been missed', async () => {
    await a.cache.set('k', 1);
    await b.cache.get('k');
    await fleet.advance(10 * 60_000);
    await takeAway();
    expect(await b.cache.get('k')).toBe(1);
    await fleet.advance(50_000);
    expect(await b.cache.get('k')).toBe(1);
    expect(await b.cache.getMany(['k'])).toEqual([1]);
    await fleet.advance(10_000);
    expect(await b.cache.get('k')).toBeUndefined();
    expect(await b.cache.getMany(['k'])).toEqual([undefined]);
  });

  test('near values serve in bulk reads too, whatever is not near beside them', async () => {
    await b.cache.set('near', 1);
    await fleet.advance(1);
    await takeAway();
    expect(await b.cache.getMany(['near', 'other'])).toEqual([1, undefined]);
    const asked: unknown[] = [];
    const loaded = b.cache.getOrSetMany(['near', 'other'], (keys) => {
      asked.push(...keys);
      return keys.map(() => 2);
    });
    await fleet.advance(1_000);
    expect(await loaded).toEqual([1, 2]);
    expect(asked).toEqual(['other']);
    expect(b.faults.length).toBeGreaterThan(0);
  });

  test("with onStorageError 'throw' a bulk read rejects when one of its keys could not be read", async () => {
    const strict = await fleet.node({}, { onStorageError: 'throw' });
    await strict.cache.set('near', 1);
    await fleet.advance(1);
    await takeAway();
    expect(await strict.cache.getMany(['near'])).toEqual([1]);
    await expect(strict.cache.getMany(['near', 'other'])).rejects.toMatchObject({
      name: 'StorageUnavailableError',
    });
  });

  test('an inherited value is not taken from further out because the nearest could not be read', async () => {
    await a.cache.set('theme', 'dark', { scope: USER });
    await b.cache.set('theme', 'light');
    await fleet.advance(1);
    await takeAway();
    expect(await b.cache.getInherited('theme', { scope: USER })).toEqual({ hit: false });
  });

  test('staleWhileAway 0 serves none that may be stale', async () => {
    const strict = await fleet.node({ staleWhileAway: 0 });
    await strict.cache.set('k', 1);
    await fleet.advance(1);
    await takeAway();
    expect(await strict.cache.get('k')).toBeUndefined();
  });

  test('near values that something may have been missed about serve no longer than since they were made', async () => {
    await b.cache.set('k', 1);
    await fleet.advance(120_000);
    b.link.disconnect();
    b.link.connect();
    await takeAway();
    expect(await b.cache.get('k')).toBeUndefined();
  });

  test('P9 loads run once for all who wait, and their errors reach all', async () => {
    await takeAway();
    let loads = 0;
    const load = async (): Promise<number> => {
      await Promise.resolve();
      return ++loads;
    };
    const all = Promise.all(Array.from({ length: 50 }, () => b.cache.getOrSet('k', load)));
    await fleet.advance(1_000);
    expect(new Set(await all)).toEqual(new Set([1]));
    const failing = Array.from({ length: 10 }, () =>
      b.cache.getOrSet('l', () => Promise.reject(new Error('source'))),
    );
    for (const one of failing) await expect(one).rejects.toThrow('source');
  });

  test('a storage that rejects with an error of its own is away as well', async () => {
    await b.cache.set('k', 1);
    await fleet.advance(1);
    b.link.disconnect();
    const read = fleet.far.call.bind(fleet.far);
    fleet.far.call = () => Promise.reject(new Error('ECONNRESET'));
    expect(await b.cache.get('k')).toBe(1);
    fleet.far.call = read;
  });
});

const EVICTIONS: Record<string, (node: Node) => Promise<unknown>> = {
  delete: ({ cache }) => cache.delete('k', { scope: USER }),
  deleteMany: ({ cache }) => cache.deleteMany(['k'], { scope: USER }),
  set: ({ cache }) => cache.set('k', 'new', { scope: USER }),
  evictScope: ({ cache }) => cache.evictScope({ org: 'o1' }),
  evictTags: ({ cache }) => cache.evictTags('t'),
  expireTags: ({ cache }) => cache.expireTags('t'),
  clear: ({ cache }) => cache.clear(),
};

describe.each(Object.entries(EVICTIONS))('P13 %s while the far tier is away', (_, evict) => {
  const read = (node: Node): Promise<unknown> => node.cache.get('k', { scope: USER });

  beforeEach(async () => {
    await a.cache.set('k', 'old', { scope: USER, tags: ['t'] });
    await a.cache.set('kept', 'kept', { scope: { org: 'o2' } });
    await read(b);
    await fleet.advance(1);
    await takeAway();
    await evict(a);
  });

  test('is in force here at once, and reported', async () => {
    expect(await read(a)).not.toBe('old');
    expect(a.faults.length).toBeGreaterThan(0);
    expect((await a.cache.stats()).storage.journaledEvictions).toBe(1);
  });

  test('takes effect everywhere when the far tier is back, and is announced then', async () => {
    const spoken = fleet.bus.spoken.length;
    await bringBack();
    await fleet.advance(10_000);
    expect(await read(a)).not.toBe('old');
    expect(await read(b)).not.toBe('old');
    expect((await a.cache.stats()).storage.journaledEvictions).toBe(0);
    const changes = fleet.bus.spoken.slice(spoken).filter((text) => !text.includes('beat'));
    expect(changes.length).toBeGreaterThan(0);
  });

  test('is not undone by a read that comes before the replay', async () => {
    fleet.far.isAway = false;
    expect(await read(a)).not.toBe('old');
    await fleet.advance(10_000);
    expect(await read(a)).not.toBe('old');
  });
});

test('P12 a near tier that fails while it drops or takes in a copy is reported, and ends nothing', async () => {
  const memory = memoryStorage();
  const broken = () => Promise.reject(new Error('near is broken'));
  const near: StorageDriver = {
    name: 'near',
    open: (host) =>
      Object.assign(memory.open(host), {
        remove: broken,
        write: broken,
        evictScope: broken,
        evictTags: broken,
      }),
  };
  const faults: string[] = [];
  const cache = makeCache({
    storage: tieredStorage({ near, far: memoryStorage(), bus: false }),
    listener: { onFault: ({ during }) => void faults.push(during) },
  });
  const calls = [
    () => cache.set('k', 1, { tags: ['t'] }),
    () => cache.delete('k'),
    () => cache.evictTags('t'),
    () => cache.evictScope({ org: 'o' }),
  ];
  for (const call of calls) {
    faults.length = 0;
    await call();
    await new Promise((resolve) => setImmediate(resolve));
    expect(new Set(faults)).toEqual(new Set(['near']));
  }
});

test('P13 a far change that outlasts its deadline is announced when it takes effect', async () => {
  await a.cache.set('k', 'old');
  await b.cache.get('k');
  await fleet.advance(1);
  const gate = fleet.far.hold('remove', 'request');
  const deleting = a.cache.delete('k');
  await gate.reached;
  await fleet.advance(300);
  await deleting;
  expect(await b.cache.get('k')).toBe('old');
  gate.open();
  await fleet.advance(5 * BEAT_MS);
  expect(await b.cache.get('k')).toBeUndefined();
  await turns();
});

test('P5 an eviction here while several keys are read from a far tier that fails is not undone', async () => {
  await b.cache.setMany({ k: 1, l: 1 });
  await b.cache.getMany(['k', 'l']);
  await fleet.advance(1);
  b.link.disconnect();
  const gate = fleet.far.hold('readMany', 'request');
  const reading = b.cache.getMany(['k', 'l']);
  await gate.reached;
  fleet.far.isAway = true;
  await b.cache.delete('k');
  gate.open();
  expect((await reading)[0]).toBeUndefined();
});

test('P12 no request waits longer than its own deadline for evictions to be replayed', async () => {
  await takeAway();
  await a.cache.delete('k');
  fleet.far.isAway = false;
  const gate = fleet.far.hold('remove', 'request');
  let isDone = false;
  void a.cache.get('k').then(() => (isDone = true));
  await gate.reached;
  // What no unconfirmed eviction concerns does not wait at all.
  expect(await a.cache.get('other')).toBeUndefined();
  await fleet.advance(250);
  expect(isDone).toBe(true);
  gate.open();
});
