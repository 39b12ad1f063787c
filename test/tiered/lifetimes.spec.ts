import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { BEAT_MS, Fleet, turns, type Node } from './support.js';
import type { StorageHost } from '../../lib/core/storage.js';
import { memoryStorage } from '../../lib/storages/memory/index.js';
import { withSnapshots } from '../../lib/file.js';
import { tieredStorage } from '../../lib/storages/tiered/index.js';

let fleet: Fleet;
let a: Node;
let b: Node;

beforeEach(async () => {
  fleet = new Fleet();
  a = await fleet.node();
  b = await fleet.node();
});
afterEach(() => fleet.close());

describe('P7 a near copy', () => {
  test('never outlives the far entry that it was read from', async () => {
    await a.cache.set('k', 1, { ttl: 10 });
    await fleet.advance(6_000);
    expect(await b.cache.get('k')).toBe(1);
    await fleet.advance(3_999);
    expect(await b.cache.get('k')).toBe(1);
    await fleet.advance(1);
    expect(await b.cache.get('k')).toBeUndefined();
  });

  test.each(['set', 'getOrSet'] as const)(
    'of a %s never outlives the far entry, however long the far tier took to answer',
    async (operation) => {
      const gate = fleet.far.hold(operation === 'set' ? 'write' : 'store', 'reply');
      const done =
        operation === 'set'
          ? b.cache.set('k', 1, { ttl: 10 })
          : b.cache.getOrSet('k', () => 1, { ttl: 10 });
      await gate.reached;
      await fleet.advance(200);
      gate.open();
      await done;
      await fleet.advance(9_799);
      expect(await b.cache.get('k')).toBe(1);
      await fleet.advance(1);
      expect(await b.cache.get('k')).toBeUndefined();
    },
  );

  test('is read again from the far tier after nearTtl', async () => {
    const short = await fleet.node({ nearTtl: 5 });
    await short.cache.set('k', 1);
    await fleet.advance(4_999);
    expect(await fleet.farCalls(() => short.cache.get('k'))).toEqual([]);
    await fleet.advance(1);
    expect(await fleet.farCalls(() => short.cache.get('k'))).toEqual(['read']);
    expect(await fleet.farCalls(() => short.cache.get('k'))).toEqual([]);
  });

  test('of a sliding entry is not kept: a near hit would not renew the far one', async () => {
    await a.cache.set('k', 1, { ttl: 10, sliding: true });
    for (let round = 0; round < 3; round++) {
      await fleet.advance(6_000);
      expect(await fleet.farCalls(() => b.cache.get('k'))).toEqual(['read']);
    }
    expect(await b.cache.get('k')).toBe(1);
  });

  test('goes with a touch, so that the new life counts everywhere', async () => {
    await a.cache.set('k', 1, { ttl: 10 });
    await b.cache.get('k');
    await a.cache.touch('k', { ttl: 2 });
    await turns();
    await fleet.advance(1_999);
    expect(await b.cache.get('k')).toBe(1);
    await fleet.advance(1);
    expect(await b.cache.get('k')).toBeUndefined();
  });
});

describe('skipNear', () => {
  test('reads past the near tier and leaves it as it is', async () => {
    await b.cache.set('k', 1);
    await fleet.advance(1);
    expect(await fleet.farCalls(() => b.cache.get('k', { skipNear: true }))).toEqual(['read']);
    expect(await fleet.farCalls(() => b.cache.getMany(['k'], { skipNear: true }))).toEqual([
      'readMany',
    ]);
    await b.cache.set('l', 1, { skipNear: true });
    expect(await fleet.farCalls(() => b.cache.get('l', { skipNear: true }))).toEqual(['read']);
    expect(await fleet.farCalls(() => b.cache.get('l'))).toEqual(['read']);
  });

  test('on a load reads past the near tier and keeps the result out of it', async () => {
    const load = (value: number) => b.cache.getOrSet('k', () => value, { skipNear: true });
    expect([await load(1), await load(2)]).toEqual([1, 1]);
    expect(await fleet.farCalls(() => b.cache.get('k'))).toEqual(['read']);
    await fleet.advance(1);
    await a.cache.set('l', 'old', { skipFar: true });
    await b.cache.set('l', 'new');
    expect(await a.cache.getOrSet('l', () => 'loaded', { skipNear: true })).toBe('new');
  });

  test('P5 on a write still removes the older near copy', async () => {
    await b.cache.set('k', 'old');
    await fleet.advance(1);
    await b.cache.set('k', 'new', { skipNear: true });
    expect(await b.cache.get('k')).toBe('new');
  });
});

describe('skipFar', () => {
  test('writes to this node only', async () => {
    const spoken = fleet.bus.spoken.length;
    expect(await fleet.farCalls(() => b.cache.set('k', 1, { skipFar: true }))).toEqual([]);
    expect(fleet.bus.spoken.length).toBe(spoken);
    await fleet.advance(1);
    expect(await b.cache.get('k')).toBe(1);
    expect(await a.cache.get('k')).toBeUndefined();
  });

  test('on a read looks at this node only', async () => {
    await a.cache.set('far', 1);
    await b.cache.set('near', 2);
    await fleet.advance(1);
    const near = { skipFar: true };
    const calls = await fleet.farCalls(async () => {
      expect(await b.cache.getMany(['far', 'near'], near)).toEqual([undefined, 2]);
      expect([await b.cache.get('far', near), await b.cache.get('near', near)]).toEqual([
        undefined,
        2,
      ]);
      expect([await b.cache.has('far', near), await b.cache.has('near', near)]).toEqual([
        false,
        true,
      ]);
    });
    expect(calls).toEqual([]);
  });

  test('P6 on a read does not serve what may be outdated', async () => {
    await b.cache.set('k', 'old');
    await fleet.advance(1);
    b.link.isDeaf = true;
    await a.cache.set('k', 'new');
    await fleet.advance(BEAT_MS * 3);
    expect(await b.cache.get('k', { skipFar: true })).toBeUndefined();
    expect(await b.cache.getMany(['k'], { skipFar: true })).toEqual([undefined]);
  });

  test('on a load keeps the result on this node', async () => {
    expect(await b.cache.getOrSet('k', () => 1, { skipFar: true })).toBe(1);
    await fleet.advance(1);
    expect([await b.cache.get('k'), await a.cache.get('k')]).toEqual([1, undefined]);
  });

  test('P5 on a write is not overwritten by a far read that was under way', async () => {
    await a.cache.set('k', 'far');
    const gate = fleet.far.hold('read', 'reply');
    const reading = b.cache.get('k');
    await gate.reached;
    await b.cache.set('k', 'near', { skipFar: true });
    gate.open();
    await reading;
    expect(await b.cache.get('k')).toBe('near');
  });

  test('on several writes writes to this node only', async () => {
    expect(await fleet.farCalls(() => b.cache.setMany({ k: 1 }, { skipFar: true }))).toEqual([]);
    expect(await b.cache.get('k')).toBe(1);
  });
});

describe('setMany', () => {
  test('leaves near copies, as set does', async () => {
    await b.cache.setMany({ k: 1, l: 2 });
    await fleet.advance(1);
    expect(await fleet.farCalls(() => b.cache.getMany(['k', 'l']))).toEqual([]);
  });
});

describe('P16 P17 close', () => {
  test('leaves no timer, no fill, no lease and no connection behind', async () => {
    await Promise.all([a, b].map(({ cache }) => cache.getOrSet('k', () => 1)));
    await a.cache.set('l', 1);
    await b.cache.getMany(['k', 'l', 'm']);
    expect(a.cache.loadsUnderWay + b.cache.loadsUnderWay).toBe(0);
    expect(fleet.far.leasesHeld).toBe(0);
    for (const { cache } of fleet.nodes) {
      await cache.close();
      await cache.close();
    }
    expect(fleet.bus.links.every(({ isClosed }) => isClosed)).toBe(true);
    await fleet.far.store.close();
    expect(fleet.clock.pending).toBe(0);
  });

  test('says goodbye and leaves no timer even when the far tier does not close', async () => {
    const gate = fleet.far.hold('close', 'request');
    const closing = b.cache.close().catch((error: unknown) => error);
    await gate.reached;
    await fleet.advance(10_000);
    await closing;
    expect(b.link.isClosed).toBe(true);
    expect(fleet.bus.spoken.some((text) => text.includes('goodbye'))).toBe(true);
    gate.open();
  });
});

test('a bus that is up before open returns is no trouble', async () => {
  const bus = {
    open: (_: string, handlers: { onUp(): void }) => {
      handlers.onUp();
      return { publish: () => Promise.resolve(), close: () => Promise.resolve() };
    },
  };
  const node = fleet.node({ bus });
  await expect(node).resolves.toBeDefined();
});

test('P11 frozen values that came from the far tier are frozen, near and far', async () => {
  const shared = fleet.far.driver();
  const far = {
    name: 'bytes',
    open: (host: StorageHost) => Object.assign(shared.open(host), { holds: 'bytes' as const }),
  };
  const frozen = await fleet.node({ far }, { isolation: 'frozen' });
  await a.cache.set('k', { list: [1] });
  const fromFar = (await frozen.cache.get<{ list: number[] }>('k'))!;
  expect(() => fromFar.list.push(2)).toThrow(TypeError);
  const fromNear = (await frozen.cache.get<{ list: number[] }>('k'))!;
  expect(() => fromNear.list.push(2)).toThrow(TypeError);
});

test('options are checked: tiers must be storages, the near one must keep values', () => {
  const far = memoryStorage();
  expect(() => tieredStorage({ near: undefined as never, far })).toThrow('near must be a storage');
  expect(() => tieredStorage({ near: far, far: {} as never })).toThrow('far must be a storage');
  expect(() => tieredStorage({ near: far, far, nearTtl: -1 })).toThrow('nearTtl');
});

test('P6 a near tier with snapshots is refused: they would bring back what has been changed since', async () => {
  const near = withSnapshots(memoryStorage(), { file: '/nowhere/near.snap' });
  await expect(fleet.node({ near })).rejects.toThrow('near must not have snapshots');
});
