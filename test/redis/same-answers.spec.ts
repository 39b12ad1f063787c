import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { memoryStorage, tieredStorage, type Cache, type ScopeSelector } from 'nestjs-scoped-cache';
import { fileStorage } from 'nestjs-scoped-cache/file';
import { redisStorage } from 'nestjs-scoped-cache/redis';
import { makeCache } from '../support/make-cache.js';
import type { ServerProcess } from '../support/servers/process.js';
import { startRedis } from '../support/servers/redis.js';

/** `OPERATIONS=2000` for a longer hunt; `SEED` to repeat one. */
const OPERATIONS = Number(process.env['OPERATIONS'] ?? 400);
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

const scope = fc.constantFrom<Exclude<ScopeSelector, string> | 'global'>(
  'global',
  { org: 'o' },
  { org: 'o', user: 'u' },
  { org: 'o', user: '*' },
  { org: 'o', user: 'u', session: 's' },
  { org: '*' },
);
const key = fc.constantFrom<string | readonly unknown[]>('a', '*', ['a', 1], ['a', '1']);
const tags = fc.subarray(['t', 'u', '*']);
const value = fc.constantFrom<unknown>(1, -0, null, undefined, '', { a: 1 }, [new Date(7)], 10n);
const ttl = fc.constantFrom<number | 'forever'>(1_000, 'forever');
const grace = fc.constantFrom(0, 1_000);
const where = fc.record({ scope });
const asked = fc.record({ scope, allowStale: fc.boolean() });
const kept = fc.record({ scope, ttl, grace, tags, sliding: fc.boolean() });

type Operation = readonly [text: string, run: (cache: Cache) => Promise<unknown>];

/** One call, with all that it needs; its text is for the report. */
function call<A extends unknown[]>(
  name: string,
  inputs: { [K in keyof A]: fc.Arbitrary<A[K]> },
  run: (cache: Cache, ...given: A) => Promise<unknown>,
): fc.Arbitrary<Operation> {
  return fc
    .tuple(...inputs)
    .map((given) => [
      `${name} ${fc.stringify(given)}`,
      (cache) => run(cache, ...(given as unknown as A)),
    ]);
}

/** Nothing here depends on time passing, so that real servers can be compared with the rest. */
const operation = fc.oneof(
  call('set', [key, value, kept], (cache, ...given) => cache.set(...given)),
  call('set with ttl 0', [key, where], (cache, at, { scope }) =>
    cache.set(at, 1, { scope, ttl: 0 }),
  ),
  call('setMany', [key, key, value, kept], (cache, one, other, given, options) =>
    cache.setMany(
      [
        [one, given],
        [other, given],
      ],
      options,
    ),
  ),
  call('get', [key, where], (cache, ...given) => cache.get(...given)),
  call('lookup', [key, asked], async (cache, ...given) => {
    const found = await cache.lookup(...given);
    return found.hit && [found.value, found.stale, [...found.tags].sort()];
  }),
  call('has', [key, asked], (cache, ...given) => cache.has(...given)),
  call('getMany', [fc.tuple(key, key), asked], (cache, ...given) => cache.getMany(...given)),
  call('getInherited', [key, where], (cache, ...given) =>
    cache.getInherited(...given).then((found) => found.hit && [found.value, found.scope]),
  ),
  call('delete', [key, where], (cache, ...given) => cache.delete(...given)),
  call('deleteMany', [fc.tuple(key, key), where], (cache, ...given) => cache.deleteMany(...given)),
  call('touch', [key, scope, ttl], (cache, at, scope, ttl) => cache.touch(at, { scope, ttl })),
  call('merge', [key, value, kept], (cache, at, given, { scope, tags }) =>
    cache.merge(at, { field: given }, { scope, tags }),
  ),
  call('update', [key, value, where], (cache, at, given, options) =>
    cache.update(
      at,
      (current) => (current === undefined ? given : [current].flat().length),
      options,
    ),
  ),
  call('increment', [key, where], (cache, ...given) => cache.increment(...given)),
  call('getOrSet', [key, value, kept], (cache, at, given, options) =>
    cache.getOrSet(at, () => given, options),
  ),
  call('getOrSetMany', [fc.tuple(key, key), value, kept], (cache, keys, given, options) =>
    cache.getOrSetMany(keys, (missing) => missing.map(() => given), options),
  ),
  call('evictScope', [scope], (cache, at) => cache.evictScope(at)),
  call('evictTags', [tags, where], (cache, ...given) => cache.evictTags(...given)),
  call('expireScope', [scope], (cache, at) => cache.expireScope(at)),
  call('expireTags', [tags, where], (cache, ...given) => cache.expireTags(...given)),
  call('size', [where], (cache, given) => cache.size(given)),
  call('entries', [scope, fc.boolean()], async (cache, at, deep) => {
    const listed: string[] = [];
    for await (const { key, scope, value, tags } of cache.entries({ scope: at, deep }))
      listed.push(fc.stringify([key, scope, value, [...tags].sort()]));
    return listed.sort();
  }),
);

describe('all storages answer alike', () => {
  const directory = mkdtempSync(join(tmpdir(), 'nsc-alike-'));
  let server: ServerProcess;
  let caches: Record<string, Cache>;

  beforeAll(async () => {
    server = await startRedis();
    const redis = () => redisStorage({ url: `redis://127.0.0.1:${server.port}`, timeout: '10s' });
    const storages = {
      memory: memoryStorage(),
      files: fileStorage({ directory }),
      redis: redis(),
      'memory before redis': tieredStorage({ near: memoryStorage(), far: redis() }),
    };
    caches = Object.fromEntries(
      Object.entries(storages).map(([name, storage]) => {
        const options = { onStorageError: 'throw', storageTimeout: '10s' } as const;
        return [name, makeCache({ ...options, storage, namespace: name })];
      }),
    );
    await Promise.all(Object.values(caches).map((cache) => cache.ready()));
  }, 60_000);

  afterAll(async () => {
    await Promise.all(Object.values(caches).map((cache) => cache.close()));
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it(`P1 P5 P10 ${OPERATIONS} random operations, one after the other (seed ${seed})`, async () => {
    const done: string[] = [];
    for (const [text, run] of fc.sample(operation, { numRuns: OPERATIONS, seed })) {
      done.push(text);
      const answers = await Promise.all(
        Object.entries(caches).map(async ([name, cache]) => [name, await answerOf(run(cache))]),
      );
      const ofMemory = answers[0]![1];
      const alike = answers.map(([name]) => [name, ofMemory]);
      expect({ last: done.slice(-30), answers }).toEqual({ last: done.slice(-30), answers: alike });
    }
  }, 300_000);
});

/** As text that tells -0, undefined and dates apart; of an error its code. */
function answerOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    (answer) => fc.stringify(answer),
    (error: unknown) => `rejected: ${String((error as { code?: unknown }).code)}`,
  );
}
