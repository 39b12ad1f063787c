import type { Cache } from 'nestjs-scoped-cache';
import type { Versioned } from './history.js';
import { COUNTER, inOrg, PLACES, tagged, type Place } from './places.js';

/** A change of the source, and the call that tells the cache about it. */
export interface Mutation {
  readonly name: string;
  readonly affects: readonly Place[];
  /** @param made what the change made of the place, for calls that store it */
  tell(
    cache: Cache,
    made: (place: Place) => Versioned,
    pause: () => Promise<void>,
  ): Promise<unknown>;
  /** It only ends the TTL of what is cached: reads that accept stale values may still see it. */
  readonly onlyExpires?: boolean;
  /** The change is made by a decorated method, which stores what it made, as `@CachePut` does. */
  readonly isPut?: boolean;
  /** It begins with the value and takes its time before it stores it. */
  readonly isSlow?: boolean;
}

const onOne = (place: Place): Mutation[] => {
  const { key, scope, tag, id } = place;
  const affects = [place];
  return [
    { name: `delete ${id}`, affects, tell: (cache) => cache.delete(key, { scope }) },
    { name: `deleteMany ${id}`, affects, tell: (cache) => cache.deleteMany([key], { scope }) },
    { name: `drop ${id}`, affects, tell: (cache) => cache.set(key, 0, { scope, ttl: 0 }) },
    { name: `touch ${id} away`, affects, tell: (cache) => cache.touch(key, { scope, ttl: 0 }) },
    {
      name: `set ${id}`,
      affects,
      tell: (cache, made) => cache.set(key, made(place), { scope, tags: [tag] }),
    },
    {
      name: `set ${id} sliding, with grace`,
      affects,
      tell: (cache, made) =>
        cache.set(key, made(place), { scope, tags: [tag], sliding: true, ttl: 1, grace: 60 }),
    },
    {
      name: `setMany ${id}`,
      affects,
      tell: (cache, made) => cache.setMany([[key, made(place)]], { scope, tags: [tag] }),
    },
    {
      name: `merge ${id}`,
      affects,
      tell: (cache, made) => cache.merge(key, made(place), { scope, tags: [tag] }),
    },
    { name: `put ${id}`, affects, isPut: true, tell: async () => undefined },
    {
      name: `update ${id}`,
      affects,
      tell: (cache, made) => cache.update(key, () => made(place), { scope, tags: [tag] }),
    },
    {
      name: `update ${id} slowly`,
      affects,
      isSlow: true,
      tell: (cache, made, pause) =>
        cache.update(
          key,
          async () => {
            const value = made(place);
            await pause();
            return value;
          },
          { scope, tags: [tag] },
        ),
    },
  ];
};

/** Those that take a scope away as a whole. */
export const SCOPE_EVICTIONS: readonly Mutation[] = [
  ...['a', 'b'].map((org) => ({
    name: `evictScope ${org}`,
    affects: inOrg(org),
    tell: (cache: Cache) => cache.evictScope({ org }),
  })),
  {
    name: 'evictScope a1',
    affects: PLACES.slice(0, 2),
    tell: (cache) => cache.evictScope({ org: 'a', user: '1' }),
  },
  {
    name: 'evictScope global',
    affects: [...PLACES, COUNTER],
    tell: (cache) => cache.evictScope('global'),
  },
  { name: 'clear', affects: [...PLACES, COUNTER], tell: (cache) => cache.clear() },
];

export const MUTATIONS: readonly Mutation[] = [
  ...PLACES.flatMap(onOne),
  ...SCOPE_EVICTIONS,
  {
    name: 'delete the counter',
    affects: [COUNTER],
    tell: (cache) => cache.delete(COUNTER.key, { scope: COUNTER.scope }),
  },
  ...['t', 'u'].map((tag) => ({
    name: `evictTags ${tag} in a`,
    affects: tagged(tag, 'a'),
    tell: (cache: Cache) => cache.evictTags(tag, { scope: { org: 'a' } }),
  })),
  {
    name: 'evictTags t, u',
    affects: PLACES,
    tell: (cache) => cache.evictTags(['t', 'u']),
  },
  {
    name: 'expireTags t in a',
    affects: tagged('t', 'a'),
    onlyExpires: true,
    tell: (cache) => cache.expireTags('t', { scope: { org: 'a' } }),
  },
  {
    name: 'expireScope a',
    affects: inOrg('a'),
    onlyExpires: true,
    tell: (cache) => cache.expireScope({ org: 'a' }),
  },
];
