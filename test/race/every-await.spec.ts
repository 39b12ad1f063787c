import { describe, expect, it } from '@jest/globals';
import type { BasicStorage, Cache } from 'nestjs-scoped-cache';
import { createTestCache, deferred, ManualClock, mapStorage } from 'nestjs-scoped-cache/testing';

/** A minimal storage that stops at its nth call from now, before or after the call takes effect, until it is let go. */
class Stopping {
  #left = Infinity;
  #isBefore = true;
  #gate = deferred();
  hasStopped = false;
  readonly storage: BasicStorage;

  constructor() {
    const inner = mapStorage();
    this.storage = {
      name: 'stopping',
      get: (key) => this.#call(() => inner.get(key) as Uint8Array | undefined),
      set: (key, bytes, ttlMs) => this.#call(() => void inner.set(key, bytes, ttlMs)),
      delete: (key) => this.#call(() => void inner.delete(key)),
      clear: (prefix) => this.#call(() => void inner.clear(prefix)),
    };
  }

  stopAt(call: number, isBefore: boolean): void {
    this.#left = call;
    this.#isBefore = isBefore;
  }

  letGo(): void {
    this.#left = Infinity;
    this.#gate.resolve();
  }

  async #call<T>(work: () => T): Promise<T> {
    const stops = --this.#left === 0;
    if (stops) this.hasStopped = true;
    if (stops && this.#isBefore) await this.#gate.promise;
    const result = work();
    if (stops && !this.#isBefore) await this.#gate.promise;
    return result;
  }
}

const WHERE = { scope: { org: 'o', user: 'u' } };
const TAGGED = { ...WHERE, tags: ['t'] };
const OLD = { old: true };

/** What makes something of an old value, or may still hold one. */
const KEEPING: readonly (readonly [
  string,
  (cache: Cache, source: () => object) => Promise<unknown>,
])[] = [
  ['touch', (cache) => cache.touch('k', { ...WHERE, ttl: 60 })],
  ['a sliding read', (cache) => cache.get('k', WHERE)],
  ['a sliding bulk read', (cache) => cache.getMany(['k'], WHERE)],
  ['merge', (cache) => cache.merge('k', { merged: true }, WHERE)],
  ['update', (cache) => cache.update('k', (old) => ({ ...(old as object), updated: true }), WHERE)],
  ['a refresh', (cache, source) => cache.getOrSet('k', source, { ...TAGGED, refreshAhead: 0 })],
  ['a load', (cache, source) => cache.getOrSet('load', source, TAGGED)],
  [
    'a load that names its tags',
    (cache, source) =>
      cache.getOrSet(
        'load',
        (context) => {
          context.addTags('t');
          return source();
        },
        WHERE,
      ),
  ],
  [
    'a bulk load',
    (cache, source) => cache.getOrSetMany(['k', 'load'], (keys) => keys.map(source), TAGGED),
  ],
];
const OUTDATING: readonly (readonly [string, (cache: Cache) => Promise<unknown>])[] = [
  ['delete', (cache) => cache.deleteMany(['k', 'load'], WHERE)],
  ['set', (cache) => cache.setMany({ k: { fresh: 1 }, load: { fresh: 1 } }, WHERE)],
  ['evictScope of the user', (cache) => cache.evictScope(WHERE.scope)],
  ['evictScope of the org', (cache) => cache.evictScope({ org: 'o' })],
  ['evictTags', (cache) => cache.evictTags('t')],
  ['evictTags in the org', (cache) => cache.evictTags('t', { scope: { org: 'o' } })],
  ['clear', (cache) => cache.clear()],
];
const CALLS_MAX = 60;

describe.each(KEEPING)(
  'P5 %s, interrupted before and after each of its calls to the storage',
  (_, keep) => {
    it.each(OUTDATING)('by %s: the old value is not read afterwards', async (kind, outdate) => {
      let stops = 0;
      for (let call = 1; call < CALLS_MAX; call++)
        for (const isBefore of [true, false]) {
          const clock = new ManualClock();
          const stopping = new Stopping();
          const cache = createTestCache(
            { storage: stopping.storage, storageTimeout: '1h' },
            { clock },
          );
          await cache.set('k', OLD, { ...WHERE, tags: ['t'], sliding: true });
          stopping.stopAt(call, isBefore);
          let isOutdated = false;
          const kept = keep(cache, () => (isOutdated ? { fresh: 1 } : OLD));
          await clock.advanceAsync(0);
          if (!stopping.hasStopped) continue;
          stops++;
          isOutdated = true;
          const outdated = outdate(cache);
          await clock.advanceAsync(0);
          stopping.letGo();
          await Promise.all([kept, outdated]);
          for (let round = 0; round < 3; round++) await clock.advanceAsync(10);
          for (const value of await cache.getMany(['k', 'load'], WHERE))
            // A merge or update that came after a set holds what was set.
            expect((value as { old?: boolean } | undefined)?.old).toBeUndefined();
          expect(cache.loadsUnderWay).toBe(0);
        }
      expect([kind, stops > 2]).toEqual([kind, true]);
    });
  },
);
