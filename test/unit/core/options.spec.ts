import { describe, expect, it } from '@jest/globals';
import { maxItems } from '../../../lib/core/eviction/max-items.js';
import { lru } from '../../../lib/core/eviction/lru.js';
import { timeToLive } from '../../../lib/core/eviction/time-to-live.js';
import { createTestCache } from '../../../lib/testing/create-test-cache.js';
import { mapStorage } from '../../../lib/testing/map-storage.js';
import { redisStorage } from '../../../lib/redis.js';
import { tieredStorage } from '../../../lib/storages/tiered/tiered-storage.js';
import { memoryStorage } from '../../../lib/storages/memory/memory-storage.js';

const tiered = (more: object) =>
  tieredStorage({ near: memoryStorage(), far: memoryStorage(), ...more });

const invalid = (message: RegExp) =>
  expect.objectContaining({
    code: expect.stringMatching(/INVALID_(OPTIONS|DURATION)/) as unknown,
    message: expect.stringMatching(message) as unknown,
  }) as unknown as Error;

describe('the options of a cache are checked once, naming the option, what was expected and what came', () => {
  it.each<[string, unknown, RegExp]>([
    ['tll', 5, /Unknown cache option "tll".*Known: storage/],
    ['storage', 'redis', /^storage: expected memoryStorage\(\).*got "redis"/],
    ['storage', { get: () => 1 }, /^storage: expected/],
    ['storage', null, /^storage: expected.*got null/],
    ['scopes', 'org', /^scopes: expected a list.*got "org"/],
    ['ttl', -5, /^ttl: expected seconds.*got -5/],
    ['ttl', '5 minutes', /^ttl: .*got "5 minutes"/],
    ['namespace', '', /^namespace: expected a string of 1 to 200.*got ""/],
    ['namespace', 'x'.repeat(201), /^namespace: expected/],
    ['namespace', 5, /^namespace: expected.*got 5/],
    ['rules', lru({ max: 1 }), /^rules: expected a list/],
    ['rules', [5], /^rules: expected eviction rules.*got 5/],
    ['rules', [{ name: 'r', onGet: 5 }], /^rules: r\.onGet: expected a function; got 5/],
    ['serializer', {}, /^serializer: expected an object with serialize/],
    ['serializer', null, /^serializer: expected/],
    ['codecs', {}, /^codecs: expected a list/],
    ['codecs', [{ name: 'x' }], /codecs: expected \{ name, type, encode, decode \}/],
    ['isolation', 'copy', /^isolation: expected 'clone' or 'frozen' or 'none'; got "copy"/],
    ['onStorageError', 'ignore', /^onStorageError: expected 'degrade' or 'throw'/],
    ['enabled', 'false', /^enabled: expected true or false; got "false"/],
    ['storageTimeout', 0, /^storageTimeout: expected a duration above 0/],
    ['storageTimeout', 'soon', /^storageTimeout: /],
    ['loading', [], /^loading: expected an object/],
    ['loading', { jitter: 5 }, /^jitter: expected a number from 0 to 1, got 5/],
    ['loading', { softTimout: 1 }, /^loading: unknown option "softTimout".*Known: grace/],
    ['loading', { hardTimeout: 0 }, /^hardTimeout: expected a duration above 0/],
    ['listener', () => 1, /^listener: expected an object/],
  ])('%s: %p', (option, value, message) => {
    expect(() => createTestCache({ [option]: value } as never)).toThrow(invalid(message));
  });

  it.each([null, 5, 'x', []])('options that are no object: %p', (options) => {
    expect(() => createTestCache(options as never)).toThrow(invalid(/expected an object/));
  });

  it('undefined is the same as leaving an option out', () => {
    expect(() => createTestCache({ ttl: undefined, rules: undefined } as never)).not.toThrow();
  });

  it.each<[string, () => unknown, RegExp]>([
    ['lru without a limit', () => lru({}), /^lru: expected \{ max \}/],
    ['lru of 0', () => lru({ max: 0 }), /^lru: max must be a whole number from 1 up, got 0/],
    ['lru of half a byte', () => lru({ maxBytes: 0.5 }), /^lru: maxBytes must be/],
    ['lru without options', () => lru(undefined as never), /^lru: expected/],
    [
      'lru: a typo',
      () => lru({ max: 1, pre: 'org' } as never),
      /^lru: unknown option "pre"\. Known: max, maxBytes, per, only/,
    ],
    ['lru of what', () => lru({ max: 1, only: 'users' as never }), /^lru: only must be a function/],
    [
      'maxItems: a typo',
      () => maxItems({ max: 1, level: 'org' } as never),
      /^maxItems: unknown option "level"/,
    ],
    [
      'timeToLive: a typo',
      () => timeToLive({ max: 1, min: 1 } as never),
      /^timeToLive: unknown option "min"/,
    ],
    ['maxItems of NaN', () => maxItems({ max: NaN }), /^maxItems: max must be/],
    ['maxItems of nothing', () => maxItems({} as never), /^maxItems: expected/],
    ['timeToLive of 0', () => timeToLive({ max: 0 }), /^timeToLive: max must be above 0/],
    ['timeToLive below 0', () => timeToLive({ max: -1 }), /^timeToLive: max: expected seconds/],
    [
      'memory: a typo',
      () => memoryStorage({ maxEntires: 5 } as never),
      /unknown option "maxEntires"/,
    ],
    [
      'memory: no entries',
      () => memoryStorage({ maxEntries: 0 }),
      /maxEntries must be a whole number/,
    ],
    ['memory: bytes', () => memoryStorage({ maxBytes: -1 }), /maxBytes must be/],
    ['memory: sweep', () => memoryStorage({ sweepEvery: 0 }), /sweepEvery must be above 0/],
    [
      'memory: per scope',
      () => memoryStorage({ perScope: { org: { maxEntries: 0 } } }),
      /perScope\.org\.maxEntries must be a whole number from 1 up; got 0/,
    ],
    ['memory: a number', () => memoryStorage(5 as never), /^memoryStorage: expected an object/],
    [
      'tiered: nothing',
      () => tieredStorage(undefined as never),
      /^tieredStorage: expected \{ near/,
    ],
    ['tiered: a typo', () => tiered({ beat: 1 }), /^tieredStorage: unknown option "beat"/],
    ['tiered: no heart', () => tiered({ heartbeat: 0 }), /^tieredStorage: heartbeat must be/],
    ['tiered: no bus', () => tiered({ bus: 5 }), /^tieredStorage: bus must be a bus.*got 5/],
    ['redis: nothing', () => redisStorage(undefined as never), /^redisStorage: expected options/],
    ['redis: no url', () => redisStorage({ url: '' }), /^redisStorage: url: expected redis:/],
    [
      'redis: compression by name',
      () => redisStorage({ url: 'redis://localhost', compression: 'gzip' as never }),
      /^redisStorage: compression: expected true/,
    ],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(invalid(message));
  });

  it('memory limits for a level that does not exist are refused when the cache is made', () => {
    const storage = memoryStorage({ perScope: { team: { maxEntries: 5 } } });
    expect(() => createTestCache({ storage })).toThrow(
      invalid(/perScope names "team".*org, user, session/),
    );
  });

  it.each([lru({ max: 5, per: 'team' }), maxItems({ max: 5, per: 'team' })])(
    'a rule for a level that does not exist, which would never apply, is refused: $name',
    (rule) => {
      expect(() => createTestCache({ storage: memoryStorage(), rules: [rule] })).toThrow(
        invalid(/per names "team".*org, user, session/),
      );
    },
  );

  it('a storage that cannot keep rules refuses them', () => {
    expect(() => createTestCache({ storage: mapStorage(), rules: [lru({ max: 5 })] })).toThrow(
      invalid(/storage "map" cannot keep eviction rules \(lru\)/),
    );
  });
});
