/** The memory storage beside its peers: awaited hits and writes on 10,000 hot keys holding a small nested object. */
import { createCache as createDedupe } from 'async-cache-dedupe';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { createCache } from 'cache-manager';
import { Cacheable } from 'cacheable';
import { LRUCache } from 'lru-cache';
import type { CacheService } from 'nestjs-scoped-cache';
import { openCache } from './support/open-cache.js';
import { measure, ratio, report, type Contender, type Floor } from './support/measure.js';

const KEYS = Array.from({ length: 10_000 }, (_, index) => `key:${index}`);
const USERS = Array.from({ length: 100 }, (_, index) => ({
  org: `org${index % 10}`,
  user: `user${index}`,
}));
const value = (index: number) => ({
  id: index,
  name: `name ${index}`,
  tags: ['a', 'b'],
  address: { city: 'x', zip: index },
});

const ours: CacheService = await openCache({ ttl: '1h' });
const map = new Map<string, unknown>();
const lru = new LRUCache<string, object>({ max: 100_000, ttl: 3_600_000 });
const manager = createCache({ ttl: 3_600_000 });
const bento = new BentoCache({
  default: 'm',
  stores: { m: bentostore().useL1Layer(memoryDriver({ maxItems: 100_000 })) },
});
const cacheable = new Cacheable({ ttl: '1h' });
const dedupe = createDedupe({
  ttl: 3_600,
  storage: { type: 'memory', options: { size: 100_000 } },
}).define('load', async (key: string) => map.get(key));

for (const [index, key] of KEYS.entries()) {
  map.set(key, value(index));
  lru.set(key, value(index));
  await ours.set(key, value(index));
  await ours.set(key, value(index), { scope: USERS[index % USERS.length]! });
  await manager.set(key, value(index));
  await bento.set({ key, value: value(index) });
  await cacheable.set(key, value(index));
  await dedupe.load(key);
}
const load = async (): Promise<unknown> => value(0);
const userScopes = USERS.map((scope) => ({ scope }));

const IN_TURN = KEYS.map((_, index) => index);
/** One random order, the same for all, so that nobody profits from entries lying in memory as they were made. */
const AT_RANDOM = shuffled(KEYS.length);

/** Awaited one by one over all keys. */
function each(
  name: string,
  operation: (key: string, index: number) => unknown,
  order = IN_TURN,
): Contender {
  return {
    name,
    async run(times) {
      for (let at = 0; at < times; at++)
        await operation(KEYS[order[at % order.length]!]!, order[at % order.length]!);
    },
  };
}

const gets = await measure([
  each('ours', (key) => ours.get(key)),
  each('ours, user scope', (key, index) => ours.get(key, userScopes[index % USERS.length]!)),
  each('Map', (key) => map.get(key)),
  each('lru-cache', (key) => lru.get(key)),
  each('cache-manager', (key) => manager.get(key)),
  each('bentocache', (key) => bento.get({ key })),
  each('cacheable', (key) => cacheable.get(key)),
]);
const atRandom = await measure([
  each('ours', (key) => ours.get(key), AT_RANDOM),
  each(
    'ours, user scope',
    (key, index) => ours.get(key, userScopes[index % USERS.length]!),
    AT_RANDOM,
  ),
  each('cache-manager', (key) => manager.get(key), AT_RANDOM),
]);
const sets = await measure([
  each('ours', (key, index) => ours.set(key, value(index))),
  each('ours, user scope', (key, index) =>
    ours.set(key, value(index), userScopes[index % USERS.length]!),
  ),
  each('Map', (key, index) => map.set(key, value(index))),
  each('lru-cache', (key, index) => lru.set(key, value(index))),
  each('cache-manager', (key, index) => manager.set(key, value(index))),
  each('bentocache', (key, index) => bento.set({ key, value: value(index) })),
  each('cacheable', (key, index) => cacheable.set(key, value(index))),
]);
const loads = await measure([
  each('ours', (key) => ours.getOrSet(key, load)),
  each('ours, user scope', (key, index) =>
    ours.getOrSet(key, load, userScopes[index % USERS.length]!),
  ),
  each('cache-manager', (key) => manager.wrap(key, load)),
  each('bentocache', (key) => bento.getOrSet({ key, factory: load })),
  each('cacheable', (key) => cacheable.getOrSet(key, load)),
  each('async-cache-dedupe', (key) => dedupe.load(key)),
]);

const evictMs = await timeEviction(100_000);

const floors: Floor[] = [
  { what: 'get hit / cache-manager', floor: 2, reached: ratio(gets, 'ours', 'cache-manager') },
  { what: 'get hit / bentocache', floor: 15, reached: ratio(gets, 'ours', 'bentocache') },
  { what: 'get hit / cacheable', floor: 15, reached: ratio(gets, 'ours', 'cacheable') },
  {
    what: 'getOrSet hit / cache-manager wrap',
    floor: 4,
    reached: ratio(loads, 'ours', 'cache-manager'),
  },
  {
    what: 'user-scoped hit / global hit (1/1.3 at least)',
    floor: 0.77,
    reached: ratio(atRandom, 'ours, user scope', 'ours'),
  },
  {
    what: 'evictScope of 100,000 entries, 50 ms / time',
    floor: 1,
    reached: Math.round((50 / evictMs) * 100) / 100,
  },
];
report(
  'memory',
  { gets, getsAtRandom: atRandom, sets, getOrSetHits: loads, evictScope100kMs: evictMs },
  floors,
);
await ours.close();
await bento.disconnectAll();

async function timeEviction(entries: number): Promise<number> {
  const cache = await openCache({ ttl: '1h' });
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    for (let at = 0; at < entries; at++)
      await cache.set(`k${at}`, at, { scope: { org: 'big', user: `u${at % 1_000}` } });
    const start = performance.now();
    const evicted = await cache.evictScope({ org: 'big' });
    times.push(performance.now() - start);
    if (evicted !== entries) throw new Error(`evicted ${evicted} of ${entries}`);
  }
  await cache.close();
  return Math.round(times.sort((one, other) => one - other)[2]! * 10) / 10;
}

/** Fisher and Yates, with a fixed linear congruential generator: every run has the same order. */
function shuffled(length: number): number[] {
  const order = Array.from({ length }, (_, index) => index);
  let seed = 42;
  for (let at = length - 1; at > 0; at--) {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    const other = seed % (at + 1);
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}
