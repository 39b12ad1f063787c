/** What tags and the loading options cost a hit on memory: awaited hits on 500 hot keys, against the same hit without. */
import type { CacheModuleOptions, CacheService, LoadOptions } from 'nestjs-scoped-cache';
import { openCache } from './support/open-cache.js';
import { measure, pairedRatio, report, type Contender, type Floor } from './support/measure.js';

/** Few enough to stay near the processor: where an entry lies in memory would cost more than what is measured here. */
const KEYS = Array.from({ length: 500 }, (_, index) => `key:${index}`);
const value = (index: number) => ({
  id: index,
  name: `name ${index}`,
  tags: ['a', 'b'],
  address: { city: 'x', zip: index },
});
const load = async (): Promise<unknown> => value(0);
/** Written out at each call, as applications do. */
const bare = (): LoadOptions => ({});

/** Options that a hit has no use for: they say what happens when the source is slow or fails. */
const OF_LOADS = {
  softTimeout: '100ms',
  hardTimeout: '5s',
  graceThrottle: '2s',
  lease: '5s',
  errorTtl: '1s',
  jitter: 0.1,
} as const;
/** Options that every hit must look at: how long the value has been there. */
const OF_HITS = { grace: '1h', refreshAhead: 0.9, earlyExpiration: 1 } as const;

const plain = await filled();
const another = await filled();
const forLoads = await filled({ loading: OF_LOADS });
const forHits = await filled({ loading: { ...OF_LOADS, ...OF_HITS } });
const oneTag = await filled({}, (index) => [`t${index % 100}`]);
const fiveTags = await filled({}, (index) => [...'abcde'].map((tag) => `${tag}${index % 100}`));

/** A cache of its own for each: what one does to the memory must not be another's profit. */
async function filled(
  options: CacheModuleOptions = {},
  tags?: (index: number) => string[],
): Promise<CacheService> {
  const cache = await openCache({ ttl: '1h', ...options });
  for (const [index, key] of KEYS.entries())
    await cache.set(key, value(index), tags ? { tags: tags(index) } : {});
  return cache;
}

/** Awaited one by one over all keys. */
function each(name: string, operation: (key: string) => Promise<unknown>): Contender {
  return {
    name,
    async run(times) {
      for (let at = 0; at < times; at++) await operation(KEYS[at % KEYS.length]!);
    },
  };
}

const rounds = { rounds: 501, ms: 4, collects: false };
const tagged = await measure(
  [
    each('get, no tags', (key) => plain.get(key)),
    each('get, 1 tag', (key) => oneTag.get(key)),
    each('get, 5 tags', (key) => fiveTags.get(key)),
  ],
  rounds,
);
const unused = await measure(
  [
    each('getOrSet', (key) => plain.getOrSet(key, load)),
    each('getOrSet, another cache', (key) => another.getOrSet(key, load)),
    each('getOrSet, {}', (key) => plain.getOrSet(key, load, bare())),
    each('getOrSet, { ttl }', (key) => plain.getOrSet(key, load, { ttl: '10m' })),
    each('getOrSet, options of loads', (key) => forLoads.getOrSet(key, load)),
    each('getOrSet, options of hits', (key) => forHits.getOrSet(key, load)),
    each('get', (key) => plain.get(key)),
  ],
  rounds,
);

const floors: Floor[] = [
  floor('hit with 1 tag / without (1/1.3 at least)', 0.77, tagged, 'get, 1 tag', 'get, no tags'),
  floor('hit with 5 tags / without (1/1.3 at least)', 0.77, tagged, 'get, 5 tags', 'get, no tags'),
  floor(
    'getOrSet with options of loads for the cache / without',
    0.97,
    unused,
    'getOrSet, options of loads',
    'getOrSet',
  ),
];
report(
  'loading',
  {
    tagged,
    unused,
    // What a ratio of 0.97 has to be told from: two caches that differ in nothing.
    noise: pairedRatio(unused, 'getOrSet, another cache', 'getOrSet'),
    // Options that are written at the call are read and checked at the call, hit or not.
    bareOptions: pairedRatio(unused, 'getOrSet, {}', 'getOrSet'),
    ttlOfTheCall: pairedRatio(unused, 'getOrSet, { ttl }', 'getOrSet'),
    optionsOfHits: pairedRatio(unused, 'getOrSet, options of hits', 'getOrSet'),
  },
  floors,
);
for (const cache of [plain, another, forLoads, forHits, oneTag, fiveTags]) await cache.close();

function floor(
  what: string,
  least: number,
  measured: Awaited<ReturnType<typeof measure>>,
  name: string,
  other: string,
): Floor {
  return { what, floor: least, reached: pairedRatio(measured, name, other) };
}
