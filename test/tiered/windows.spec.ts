import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Fleet, turns, type Node } from './support.js';

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

/** What can be done on one node to outdate what another one has near. */
const CHANGES: Record<string, (node: Node) => Promise<unknown>> = {
  set: ({ cache }) => cache.set('k', 'new', { scope: USER, tags: ['t'] }),
  setMany: ({ cache }) => cache.setMany({ k: 'new' }, { scope: USER, tags: ['t'] }),
  delete: ({ cache }) => cache.delete('k', { scope: USER }),
  deleteMany: ({ cache }) => cache.deleteMany(['k'], { scope: USER }),
  update: ({ cache }) => cache.update('k', () => 'new', { scope: USER }),
  evictScope: ({ cache }) => cache.evictScope(USER),
  'evictScope of the parent': ({ cache }) => cache.evictScope({ org: 'o1' }),
  'evictScope of all': ({ cache }) => cache.evictScope('global'),
  evictTags: ({ cache }) => cache.evictTags('t', { scope: USER }),
  'evictTags from above': ({ cache }) => cache.evictTags(['x', 't']),
  expireTags: ({ cache }) => cache.expireTags('t'),
  expireScope: ({ cache }) => cache.expireScope({ org: 'o1' }),
  clear: ({ cache }) => cache.clear(),
};

describe.each(Object.entries(CHANGES))('%s', (_, change) => {
  const read = (node: Node): Promise<unknown> => node.cache.get('k', { scope: USER });

  beforeEach(async () => {
    await a.cache.set('k', 'old', { scope: USER, tags: ['t'] });
    await fleet.advance(1);
  });

  test('P6 on node A is seen on node B, which had a near copy', async () => {
    expect(await read(b)).toBe('old');
    expect(await fleet.farCalls(() => read(b))).toEqual([]);
    await change(a);
    await turns();
    expect(await read(b)).not.toBe('old');
    expect(await read(a)).not.toBe('old');
  });

  test.each(['request', 'reply'] as const)(
    'P5 on the same node while a read is at the far tier (%s) leaves no older near copy',
    async (at) => {
      await b.cache.get('elsewhere');
      const gate = fleet.far.hold('read', at);
      const reading = read(b);
      await gate.reached;
      await change(b);
      gate.open();
      await reading;
      expect(await read(b)).not.toBe('old');
    },
  );

  test.each(['request', 'reply'] as const)(
    'P6 on another node while a read is at the far tier (%s) leaves no older near copy',
    async (at) => {
      const gate = fleet.far.hold('read', at);
      const reading = read(b);
      await gate.reached;
      await change(a);
      await turns();
      gate.open();
      await reading;
      expect(await read(b)).not.toBe('old');
    },
  );

  test('P5 after a load has timed out while its result was being stored leaves no older near copy', async () => {
    await b.cache.delete('k', { scope: USER });
    const gate = fleet.far.hold('store', 'reply');
    const options = { scope: USER, tags: ['t'], hardTimeout: 0.1 };
    const load = b.cache.getOrSet('k', () => 'old', options);
    const timedOut = expect(load).rejects.toMatchObject({ code: 'LOAD_TIMEOUT' });
    await gate.reached;
    await fleet.advance(100);
    await timedOut;
    await change(b);
    gate.open();
    await turns();
    expect(await read(b)).not.toBe('old');
  });

  test('P5 on another node between the far write and the near write of a set leaves no older near copy', async () => {
    const gate = fleet.far.hold('write', 'reply');
    const writing = b.cache.set('k', 'old', { scope: USER, tags: ['t'] });
    await gate.reached;
    await change(a);
    await turns();
    gate.open();
    await writing;
    expect(await read(b)).not.toBe('old');
  });

  test('P5 during a load on another node keeps its result out of both tiers', async () => {
    await a.cache.delete('k', { scope: USER });
    let finish!: (value: string) => void;
    const loading = b.cache.getOrSet(
      'k',
      () => new Promise<string>((resolve) => (finish = resolve)),
      { scope: USER, tags: ['t'] },
    );
    await turns();
    await change(a);
    await turns();
    finish('old');
    expect(await loading).toBe('old');
    expect(await read(b)).not.toBe('old');
    expect(await read(a)).not.toBe('old');
  });

  test('P5 between the far store of a load and its near copy keeps it out of the near tier', async () => {
    await a.cache.delete('k', { scope: USER });
    const gate = fleet.far.hold('store', 'reply');
    const loading = b.cache.getOrSet('k', () => 'old', { scope: USER, tags: ['t'] });
    await gate.reached;
    await change(a);
    await turns();
    gate.open();
    await loading;
    expect(await read(b)).not.toBe('old');
  });

  test('P5 while several keys are read from the far tier leaves no older near copy', async () => {
    const gate = fleet.far.hold('readMany', 'reply');
    const reading = b.cache.getMany(['k', 'l'], { scope: USER });
    await gate.reached;
    await change(a);
    await turns();
    gate.open();
    await reading;
    expect(await read(b)).not.toBe('old');
  });
});

describe('near hits', () => {
  test('make no far call and say nothing on the bus, for get, lookup, has, getMany and getOrSet', async () => {
    await b.cache.set('k', { n: 1 }, { scope: USER });
    await fleet.advance(1);
    const spoken = fleet.bus.spoken.length;
    const calls = await fleet.farCalls(async () => {
      expect(await b.cache.get('k', { scope: USER })).toEqual({ n: 1 });
      expect((await b.cache.lookup('k', { scope: USER })).hit).toBe(true);
      expect(await b.cache.has('k', { scope: USER })).toBe(true);
      expect(await b.cache.getMany(['k'], { scope: USER })).toEqual([{ n: 1 }]);
      expect(await b.cache.getOrSet('k', () => ({ n: 2 }), { scope: USER })).toEqual({ n: 1 });
    });
    expect(calls).toEqual([]);
    expect(fleet.bus.spoken.length).toBe(spoken);
  });

  test('follow a read, a bulk read, a write, a load here and a load elsewhere', async () => {
    await a.cache.setMany({ read: 1, bulk: 1, elsewhere: 1 });
    await b.cache.get('read');
    await b.cache.getMany(['bulk']);
    await b.cache.set('write', 1);
    await b.cache.getOrSet('load', () => 1);
    await b.cache.getOrSet('elsewhere', () => 2);
    await fleet.advance(1);
    const keys = ['read', 'bulk', 'write', 'load', 'elsewhere'];
    expect(await fleet.farCalls(() => Promise.all(keys.map((key) => b.cache.get(key))))).toEqual(
      [],
    );
  });

  test('P11 P10 hand out copies, and keep undefined as a value', async () => {
    await a.cache.set('k', { list: [1] });
    await a.cache.set('nothing', undefined);
    const first = (await b.cache.get<{ list: number[] }>('k'))!;
    first.list.push(2);
    const second = (await b.cache.get<{ list: number[] }>('k'))!;
    second.list.push(3);
    expect(await b.cache.get('k')).toEqual({ list: [1] });
    expect((await b.cache.lookup('nothing')).hit).toBe(true);
    expect((await b.cache.lookup('nothing')).hit).toBe(true);
  });

  test('P1 a change in one scope leaves the near copies of others alone', async () => {
    const other = { org: 'o1', user: 'u2' };
    await a.cache.set('k', 1, { scope: other });
    await b.cache.get('k', { scope: other });
    await fleet.advance(1);
    await a.cache.evictScope(USER);
    await a.cache.delete('k', { scope: USER });
    await a.cache.evictTags('t');
    await turns();
    expect(await fleet.farCalls(() => b.cache.get('k', { scope: other }))).toEqual([]);
  });
});

test('P9 one load per key for callers on two nodes', async () => {
  let loads = 0;
  const load = async (): Promise<string> => {
    await fleet.clock.advanceAsync(0);
    return `load ${++loads}`;
  };
  const values = await Promise.all(
    Array.from({ length: 20 }, (_, index) => [a, b][index % 2]!.cache.getOrSet('k', load)),
  );
  expect(new Set(values)).toEqual(new Set(['load 1']));
});
