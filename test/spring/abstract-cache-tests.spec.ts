import { memoryStorage } from 'nestjs-scoped-cache';
import { createTestCache, deferred, mapStorage } from 'nestjs-scoped-cache/testing';

/** The cases of Spring's AbstractCacheTests and AbstractValueAdaptingCacheTests in our terms; see docs/spring.md. */
describe.each([
  ['memory', () => memoryStorage()],
  ['a minimal storage', () => mapStorage()],
])('AbstractCacheTests on %s', (_name, makeStorage) => {
  const make = () => createTestCache({ storage: makeStorage(), namespace: 'testCache' });

  it('AbstractCacheTests.testCacheName: a cache knows its name', () => {
    expect(make().namespace).toBe('testCache');
  });

  it('AbstractCacheTests.testNativeCache: statistics name the storage behind it', async () => {
    const cache = make();
    expect((await cache.stats()).storageType).toBe(cache.storage.type);
  });

  it('AbstractCacheTests.testCachePut: what is put is read, and null is a value', async () => {
    const cache = make();
    expect(await cache.lookup('enescu')).toEqual({ hit: false });
    await cache.set('enescu', 'george');
    expect(await cache.get('enescu')).toBe('george');
    await cache.set('enescu', null);
    expect(await cache.lookup('enescu')).toMatchObject({ hit: true, value: null });
  });

  it('AbstractCacheTests.testCachePutIfAbsent: update puts only where nothing is, and returns what is there', async () => {
    const cache = make();
    const putIfAbsent = (value: string) => cache.update<string>('k', (current) => current ?? value);
    expect(await putIfAbsent('first')).toBe('first');
    expect(await putIfAbsent('second')).toBe('first');
    expect(await cache.get('k')).toBe('first');
  });

  it('AbstractCacheTests.testCacheRemove: a deleted key is a miss', async () => {
    const cache = make();
    await cache.set('k', 'v');
    expect(await cache.delete('k')).toBe(true);
    expect(await cache.has('k')).toBe(false);
  });

  it('AbstractCacheTests.testCacheClear: clear leaves nothing', async () => {
    const cache = make();
    await cache.setMany({ enescu: 'george', vlaicu: 'aurel' });
    await cache.clear();
    expect(await cache.getMany(['enescu', 'vlaicu'])).toEqual([undefined, undefined]);
  });

  it.each([
    ['testCacheGetCallable', 'a value'],
    ['testCacheGetCallableWithNull', null],
  ])(
    'AbstractCacheTests.%s: a miss runs the loader and keeps what it returns',
    async (_, value) => {
      const cache = make();
      expect(await cache.getOrSet('k', () => value)).toBe(value);
      expect(await cache.lookup('k')).toMatchObject({ hit: true, value });
    },
  );

  it.each([
    ['testCacheGetCallableNotInvokedWithHit', 'existing'],
    ['testCacheGetCallableNotInvokedWithHitNull', null],
  ])('AbstractCacheTests.%s: a hit runs no loader', async (_, value) => {
    const cache = make();
    await cache.set('k', value);
    const load = (): never => {
      throw new Error('not to be called');
    };
    expect(await cache.getOrSet('k', load)).toBe(value);
  });

  it('AbstractCacheTests.testCacheGetCallableFail: the loader’s own error comes out, and nothing is kept', async () => {
    const cache = make();
    const error = new RangeError('Expected exception');
    await expect(cache.getOrSet('k', () => Promise.reject(error))).rejects.toBe(error);
    expect(await cache.has('k')).toBe(false);
  });

  it('AbstractCacheTests.testCacheGetSynchronized: ten callers at once share one load', async () => {
    const cache = make();
    const gate = deferred();
    let calls = 0;
    const callers = Array.from({ length: 10 }, () =>
      cache.getOrSet('k', async () => {
        await gate.promise;
        return ++calls;
      }),
    );
    gate.resolve();
    expect(await Promise.all(callers)).toEqual(Array(10).fill(1));
  });
});
