import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { BEAT_MS, Fleet, turns, type Node } from './support.js';

let fleet: Fleet;
let a: Node;
let b: Node;

beforeEach(async () => {
  fleet = new Fleet();
  a = await fleet.node();
  b = await fleet.node();
  await a.cache.set('changed', 'old');
  await a.cache.set('kept', 'same');
  await b.cache.getMany(['changed', 'kept']);
  await fleet.advance(BEAT_MS);
});
afterEach(() => fleet.close());

function standStill(node: Node): void {
  node.link.hold();
  node.clock.hold();
}

/** Node.js runs timers that are due before it reads what has arrived. */
async function goOn(node: Node, between: () => Promise<void> = async () => undefined) {
  node.clock.release();
  await between();
  node.link.release();
  await turns();
}

describe('P6 a node that stood still for longer than two beats', () => {
  test('serves no near value before it has heard what was said meanwhile', async () => {
    standStill(b);
    await a.cache.set('changed', 'new');
    await fleet.advance(5 * BEAT_MS);
    await goOn(b, async () => {
      expect(await b.cache.get('changed')).toBe('new');
      expect(await fleet.farCalls(() => b.cache.get('kept'))).toEqual(['read']);
    });
    expect(await b.cache.get('changed')).toBe('new');
  });

  test('then serves what nobody has changed, without checking it', async () => {
    standStill(b);
    await a.cache.set('changed', 'new');
    await fleet.advance(5 * BEAT_MS);
    await goOn(b);
    await fleet.advance(1);
    expect(await fleet.farCalls(() => b.cache.get('kept'))).toEqual([]);
    expect(await b.cache.get('changed')).toBe('new');
  });

  test('keeps its connection, and its peers', async () => {
    standStill(b);
    await fleet.advance(20 * BEAT_MS);
    await goOn(b);
    await fleet.advance(3 * BEAT_MS);
    expect(b.link.resets).toBe(0);
    expect(await fleet.farCalls(() => b.cache.get('kept'))).toEqual([]);
  });

  test('and did miss something meanwhile, checks as after any loss', async () => {
    standStill(b);
    fleet.bus.lets = (text, to) => to !== b.link || !text.includes('keys');
    await a.cache.set('changed', 'new');
    await fleet.advance(5 * BEAT_MS);
    await goOn(b);
    await fleet.advance(BEAT_MS);
    expect(await b.cache.get('changed')).toBe('new');
  });
});
