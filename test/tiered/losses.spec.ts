import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { BEAT_MS, Fleet, turns, type Node } from './support.js';

let fleet: Fleet;
let a: Node;
let b: Node;

beforeEach(async () => {
  fleet = new Fleet();
  a = await fleet.node();
  b = await fleet.node({}, { storageTimeout: '5s' });
  await a.cache.set('k', 'old');
  await b.cache.get('k');
  await fleet.advance(1);
});
afterEach(() => fleet.close());

const isNear = async (node: Node): Promise<boolean> =>
  (await fleet.farCalls(() => node.cache.get('k'))).length === 0;

describe('P6 a message that got lost', () => {
  test('is noticed at the next beat, and the near value is checked again', async () => {
    fleet.bus.lets = (text) => text.includes('beat');
    await a.cache.set('k', 'new');
    await turns();
    expect(await b.cache.get('k')).toBe('old');
    await fleet.advance(BEAT_MS + 1);
    expect(await b.cache.get('k')).toBe('new');
  });

  test('is noticed by the next change, if that comes first', async () => {
    fleet.bus.lets = (text) => !text.includes('keys');
    await a.cache.set('k', 'new');
    await a.cache.evictTags('unrelated');
    await fleet.advance(1);
    expect(await b.cache.get('k')).toBe('new');
  });

  test('and a far read that was under way when that was noticed leaves no near copy', async () => {
    await a.cache.set('other', 'old');
    const gate = fleet.far.hold('read', 'reply');
    const reading = b.cache.get('other');
    await gate.reached;
    fleet.bus.lets = (text) => text.includes('beat');
    await a.cache.set('other', 'new');
    await fleet.advance(BEAT_MS + 1);
    gate.open();
    expect(await reading).toBe('old');
    expect(await b.cache.get('other')).toBe('new');
  });

  test('and a copy made in the very millisecond in which that was noticed is checked again', async () => {
    await a.cache.set('other', 'old');
    const inTime = b.cache.get('other');
    await inTime;
    fleet.bus.lets = (text) => !text.includes('keys');
    await a.cache.set('other', 'new');
    await a.cache.evictTags('unrelated');
    await turns();
    expect(await b.cache.get('other')).toBe('new');
  });

  test('costs each near value one check, not its place', async () => {
    fleet.bus.lets = (text) => text.includes('beat');
    await a.cache.set('elsewhere', 1);
    await fleet.advance(BEAT_MS + 1);
    expect(await isNear(b)).toBe(false);
    await fleet.advance(1);
    expect(await isNear(b)).toBe(true);
  });
});

describe('P6 a connection', () => {
  test('that is deaf without saying so is not trusted two beats later', async () => {
    b.link.isDeaf = true;
    await a.cache.set('k', 'new');
    await fleet.advance(2 * BEAT_MS + 1);
    expect(await b.cache.get('k')).toBe('new');
    expect(await isNear(b)).toBe(false);
  });

  test('that stays deaf is opened anew, and near values serve again', async () => {
    b.link.isDeaf = true;
    await fleet.advance(10 * BEAT_MS);
    expect(b.link.resets).toBe(1);
    await b.cache.get('k');
    await fleet.advance(1);
    expect(await isNear(b)).toBe(true);
  });

  test('that says it is down is not trusted at once; after it is back, near values are checked', async () => {
    b.link.disconnect();
    await a.cache.set('k', 'new');
    expect(await b.cache.get('k')).toBe('new');
    await a.cache.set('k', 'newer');
    await turns();
    b.link.connect();
    expect(await b.cache.get('k')).toBe('newer');
  });

  test('that comes back while a far read is under way leaves no near copy of that read', async () => {
    b.link.disconnect();
    const gate = fleet.far.hold('read', 'reply');
    const reading = b.cache.get('k');
    await gate.reached;
    await a.cache.set('k', 'new');
    await fleet.advance(1);
    b.link.connect();
    await fleet.advance(1);
    gate.open();
    await reading;
    expect(await b.cache.get('k')).toBe('new');
  });

  test('that delivers later than two beats is not trusted although everything arrives', async () => {
    fleet.bus.delayMs = 5 * BEAT_MS;
    await fleet.advance(20 * BEAT_MS);
    await b.cache.get('k');
    await fleet.advance(1);
    await a.cache.set('k', 'new');
    await fleet.advance(1);
    expect(await b.cache.get('k')).toBe('new');
  });
});

describe('P6 a peer', () => {
  test('that changes something while we are deaf for a beat, and dies, is not waited for: our own beat is missing', async () => {
    await b.cache.set('k', 1);
    await a.cache.get('k');
    await fleet.advance(1);
    fleet.bus.lets = (_text, to) => to !== a.link;
    await b.cache.set('k', 2);
    b.link.isMute = true;
    await fleet.advance(BEAT_MS);
    fleet.bus.lets = () => true;
    await fleet.advance(BEAT_MS);
    expect(await a.cache.get('k')).toBe(2);
  });

  test('that falls silent without a goodbye makes the others check, for it may have died before it could tell', async () => {
    await fleet.advance(BEAT_MS);
    // Dies between the far write and the announcement: nothing of it is heard any more.
    a.link.isMute = true;
    await a.cache.set('k', 'new');
    await fleet.advance(5 * BEAT_MS + 1);
    expect(await b.cache.get('k')).toBe('new');
  });

  test('that joined while we listened, and died before its first beat was heard, is noticed too', async () => {
    const c = await fleet.node();
    await b.cache.get('k');
    await fleet.advance(1);
    c.link.isMute = true;
    await c.cache.set('k', 'new');
    await fleet.advance(5 * BEAT_MS + 1);
    expect(await b.cache.get('k')).toBe('new');
  });

  test('that says goodbye costs nothing', async () => {
    await a.cache.close();
    await fleet.advance(10 * BEAT_MS);
    expect(await isNear(b)).toBe(true);
  });

  test('whose last words were lost is noticed by its goodbye', async () => {
    fleet.bus.lets = (text) => !text.includes('keys');
    await a.cache.set('k', 'new');
    await a.cache.close();
    await fleet.advance(1);
    expect(await b.cache.get('k')).toBe('new');
  });
});

test('P6 messages that come twice, or from strangers, or make no sense, change nothing', async () => {
  fleet.bus.copies = 3;
  await a.cache.set('other', 1);
  await fleet.advance(2 * BEAT_MS);
  expect(await isNear(b)).toBe(true);
  for (const text of ['', '{', 'null', '[]', '["x"]', '[1,2,3]', '["n",-1.5,"beat"]', '"beat"'])
    b.link.hear(text);
  expect(await isNear(b)).toBe(true);
  b.link.hear('["stranger",1,"unheard of",{}]');
  await fleet.advance(1);
  expect(await isNear(b)).toBe(false);
});

test('P6 in quiet times near values are checked once at the start and never again', async () => {
  expect(await isNear(b)).toBe(true);
  await fleet.advance(100 * BEAT_MS);
  expect(await isNear(b)).toBe(true);
  expect((await b.cache.stats()).storage).toMatchObject({ busUp: 1, busPeers: 1 });
});

test('P6 without a bus a near value serves for nearTtl, 1 s by default', async () => {
  const alone = await fleet.node({ bus: false });
  await alone.cache.get('k');
  await fleet.advance(999);
  expect(await isNear(alone)).toBe(true);
  await fleet.advance(1);
  expect(await isNear(alone)).toBe(false);
});
