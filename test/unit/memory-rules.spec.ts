import { describe, expect, it } from '@jest/globals';
import type { Cache } from '../../lib/core/cache.js';
import type { EvictionRule } from '../../lib/core/eviction/eviction-rule.js';
import { memoryStorage } from '../../lib/storages/memory/index.js';
import { tieredStorage } from '../../lib/storages/tiered/index.js';
import { ManualClock } from '../../lib/testing/manual-clock.js';
import { makeCache } from '../support/make-cache.js';

const WHERE = { scope: { org: 'o', user: 'u' }, tags: ['t'] };

/** Lets each write of a key wait until it is told to go on. */
class HoldingRule implements EvictionRule {
  readonly name = 'holding';
  readonly #held: (() => void)[] = [];

  onSet(): Promise<null> {
    return new Promise((resolve) => this.#held.push(() => resolve(null)));
  }

  /** Those that wait at present, or one of them. */
  release(nth?: number): void {
    const chosen = nth === undefined ? this.#held.splice(0) : this.#held.splice(nth, 1);
    for (const goOn of chosen) goOn();
  }
}

describe('P5 a write that waits for an asynchronous rule', () => {
  const CHANGES: Record<string, (cache: Cache) => Promise<unknown>> = {
    delete: (cache) => cache.delete('k', WHERE),
    deleteMany: (cache) => cache.deleteMany(['other', 'k'], WHERE),
    evictScope: (cache) => cache.evictScope(WHERE.scope),
    'evictScope above': (cache) => cache.evictScope({ org: 'o' }),
    evictTags: (cache) => cache.evictTags('t'),
    expireTags: (cache) => cache.expireTags('t'),
    expireScope: (cache) => cache.expireScope({ org: 'o' }),
    clear: (cache) => cache.clear(),
    'set with ttl 0': (cache) => cache.set('k', 'new', { ...WHERE, ttl: 0 }),
  };

  it.each(Object.keys(CHANGES))('does not come in after %s has resolved', async (change) => {
    const rule = new HoldingRule();
    const cache = makeCache({ storage: memoryStorage(), rules: [rule] });
    const writing = cache.set('k', 'old', WHERE);
    await CHANGES[change]!(cache);
    rule.release();
    await writing;
    expect(await cache.get('k', WHERE)).toBeUndefined();
    expect(await cache.size()).toBe(0);
    await cache.close();
  });

  it.each(['tags of others', 'another key', 'another scope'])(
    'comes in where %s were meant',
    async (what) => {
      const rule = new HoldingRule();
      const cache = makeCache({ storage: memoryStorage(), rules: [rule] });
      const writing = cache.set('k', 'kept', WHERE);
      if (what === 'tags of others') await cache.evictTags('u');
      else if (what === 'another key') await cache.delete('l', WHERE);
      else await cache.evictScope({ org: 'o', user: 'v' });
      rule.release();
      await writing;
      expect(await cache.get('k', WHERE)).toBe('kept');
      await cache.close();
    },
  );

  it('does not replace a newer write that had to wait less, and is not in the way of it either', async () => {
    for (const order of [
      [0, 0],
      [1, 0],
    ]) {
      const rule = new HoldingRule();
      const cache = makeCache({ storage: memoryStorage(), rules: [rule] });
      const writing = [cache.set('k', 'old', WHERE), cache.set('k', 'new', WHERE)];
      for (const nth of order) {
        rule.release(nth);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(writing);
      expect(await cache.get('k', WHERE)).toBe('new');
      expect(await cache.size()).toBe(1);
      await cache.close();
    }
  });

  it('is not lost when an update of what was there before comes in first', async () => {
    const rule = new HoldingRule();
    const cache = makeCache({ storage: memoryStorage(), rules: [rule] });
    const first = cache.set('k', { v: 1 }, WHERE);
    rule.release();
    await first;
    const writing = cache.set('k', { v: 2 }, WHERE);
    const updating = cache.update('k', (value: object = {}) => ({ ...value, u: 1 }), WHERE);
    // The update's, which began after the other.
    rule.release(1);
    await new Promise((resolve) => setImmediate(resolve));
    rule.release();
    await writing;
    expect(await cache.get('k', WHERE)).toMatchObject({ v: 2 });
    rule.release();
    await updating;
    expect(await cache.get('k', WHERE)).toMatchObject({ v: 2 });
    await cache.close();
  });

  it('is thought out anew when it is an update that saw nothing, and another came and went meanwhile', async () => {
    const rule = new HoldingRule();
    const clock = new ManualClock();
    const cache = makeCache({ storage: memoryStorage(), rules: [rule] }, clock);
    let calls = 0;
    const older = cache.update('k', () => ++calls, { ...WHERE, ttl: 60 });
    const newer = cache.update('k', () => ++calls, { ...WHERE, ttl: 1 });
    rule.release(1);
    expect(await newer).toBe(2);
    clock.advance(1_000);
    rule.release();
    await new Promise((resolve) => setImmediate(resolve));
    rule.release();
    expect(await older).toBe(3);
    expect(await cache.get('k', WHERE)).toBe(3);
    await cache.close();
  });

  it('is no near copy any more when the entry was deleted meanwhile (P6)', async () => {
    const rule = new HoldingRule();
    const storage = tieredStorage({ near: memoryStorage(), far: memoryStorage(), bus: false });
    const cache = makeCache({ storage, rules: [rule] });
    await cache.set('k', 'old', { ...WHERE, skipNear: true });
    // The read goes to the far tier, and its copy waits for the rule.
    expect(await cache.get('k', WHERE)).toBe('old');
    expect(await cache.delete('k', WHERE)).toBe(true);
    rule.release();
    await new Promise((resolve) => setImmediate(resolve));
    expect(await cache.get('k', WHERE)).toBeUndefined();
    await cache.close();
  });
});
