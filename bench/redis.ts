/** The Redis storage and the tiered storage beside their peers, on a redis-server of its own. */
import { spawn } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import KeyvRedis from '@keyv/redis';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis';
import { createCache } from 'cache-manager';
import { Cacheable } from 'cacheable';
import { Redis } from 'ioredis';
import { Keyv } from 'keyv';
import { memoryStorage, tieredStorage } from 'nestjs-scoped-cache';
import { redisStorage } from 'nestjs-scoped-cache/redis';
import { createTestCache } from 'nestjs-scoped-cache/testing';
import { isQuick, measure, ratio, report, type Contender, type Floor } from './support/measure.js';

const HOUR_MS = 3_600_000;
const KEYS = Array.from({ length: 10_000 }, (_, index) => `key:${index}`);
const value = (index: number) => ({
  id: index,
  name: `name ${index}`,
  tags: ['a', 'b'],
  address: { city: 'x', zip: index },
});
const clock = {
  now: () => Date.now(),
  monotonic: () => Math.trunc(performance.now()),
  after(delayMs: number, task: () => void) {
    const timer = setTimeout(task, delayMs).unref();
    return () => clearTimeout(timer);
  },
};

const port = await freePort();
const server = spawn(
  'redis-server',
  ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--slowlog-log-slower-than', '5000'],
  { stdio: 'ignore' },
);
process.once('exit', () => server.kill('SIGKILL'));
const url = `redis://127.0.0.1:${port}`;
const admin = new Redis(port, '127.0.0.1', { enableAutoPipelining: true });
admin.on('error', () => undefined);
while ((await admin.ping().catch(() => '')) !== 'PONG')
  await new Promise((resolve) => setTimeout(resolve, 20));

const plain = new Redis(port, '127.0.0.1', { enableAutoPipelining: true });
const connection = { host: '127.0.0.1', port };
const options = { ttl: '1h' as const };
const ours = createTestCache(
  { ...options, storage: redisStorage({ url }), namespace: 'l2' },
  { clock },
);
const oursTiered = createTestCache(
  {
    ...options,
    storage: tieredStorage({ near: memoryStorage(), far: redisStorage({ url }) }),
    namespace: 'tiered',
  },
  { clock },
);
const keyv = (namespace: string) => new Keyv({ store: new KeyvRedis(url), namespace });
const manager = createCache({ ttl: HOUR_MS, stores: [keyv('manager')] });
const bento = new BentoCache({
  default: 'l2',
  ttl: HOUR_MS,
  stores: {
    l2: bentostore().useL2Layer(redisDriver({ connection })),
    tiered: bentostore()
      .useL1Layer(memoryDriver({ maxItems: 100_000 }))
      .useL2Layer(redisDriver({ connection }))
      .useBus(redisBusDriver({ connection })),
  },
});
const bentoTiered = bento.use('tiered');
const cacheable = new Cacheable({ ttl: HOUR_MS, primary: keyv('cacheable') });
const cacheableTiered = new Cacheable({ ttl: HOUR_MS, secondary: keyv('cacheable-tiered') });

const setters: Record<string, (key: string, index: number) => Promise<unknown>> = {
  ours: (key, index) => ours.set(key, value(index)),
  'plain ioredis': (key, index) => plain.set(key, JSON.stringify(value(index)), 'PX', HOUR_MS),
  'cache-manager': (key, index) => manager.set(key, value(index)),
  bentocache: (key, index) => bento.set({ key, value: value(index) }),
  cacheable: (key, index) => cacheable.set(key, value(index)),
  'ours, tiered': (key, index) => oursTiered.set(key, value(index)),
  'bentocache, tiered': (key, index) => bentoTiered.set({ key, value: value(index) }),
  'cacheable, tiered': (key, index) => cacheableTiered.set(key, value(index)),
};
const getters: Record<string, (key: string) => Promise<unknown>> = {
  ours: (key) => ours.get(key),
  'plain ioredis': async (key) => JSON.parse((await plain.get(key)) ?? 'null') as unknown,
  'cache-manager': (key) => manager.get(key),
  bentocache: (key) => bento.get({ key }),
  cacheable: (key) => cacheable.get(key),
};
const nearGetters: Record<string, (key: string) => Promise<unknown>> = {
  'ours, tiered': (key) => oursTiered.get(key),
  'bentocache, tiered': (key) => bentoTiered.get({ key }),
  'cacheable, tiered': (key) => cacheableTiered.get(key),
};

for (const [name, set] of Object.entries(setters)) {
  for (let from = 0; from < KEYS.length; from += 100)
    await Promise.all(KEYS.slice(from, from + 100).map((key, nth) => set(key, from + nth)));
  const get = getters[name] ?? nearGetters[name]!;
  for (const key of KEYS) if (!(await get(key))) throw new Error(`${name} does not have ${key}.`);
}

const at = (
  all: Record<string, (key: string, index: number) => Promise<unknown>>,
  inFlight: number,
): Contender[] =>
  Object.entries(all).map(([name, operation]) => ({
    name,
    async run(times) {
      let next = 0;
      const lane = async (): Promise<void> => {
        while (next < times) {
          const index = next++ % KEYS.length;
          await operation(KEYS[index]!, index);
        }
      };
      await Promise.all(Array.from({ length: inFlight }, lane));
    },
  }));

const rounds = { rounds: 7, ms: 400, collects: false };
const get64 = await measure(at(getters, 64), rounds);
const set64 = await measure(at(setters, 64), rounds);
const get1 = await measure(at(getters, 1), rounds);
const set1 = await measure(at(setters, 1), rounds);
const near = await measure(at(nearGetters, 1), rounds);

const eviction = await timeEviction(process.argv.includes('--small') ? 100_000 : 1_000_000);
const best = (measured: typeof get64, others: string[]): number =>
  Math.min(...others.map((other) => ratio(measured, 'ours', other)));
const floors: Floor[] = [
  {
    what: 'get hit, 64 in flight / plain ioredis',
    floor: 0.8,
    reached: ratio(get64, 'ours', 'plain ioredis'),
  },
  {
    what: 'get hit, 64 in flight / fastest library',
    floor: 1,
    reached: best(get64, ['cache-manager', 'bentocache', 'cacheable']),
  },
  {
    what: 'get hit, 1 in flight / plain ioredis',
    floor: 0.8,
    reached: ratio(get1, 'ours', 'plain ioredis'),
  },
  {
    what: 'set, 64 in flight / plain ioredis',
    floor: 0.5,
    reached: ratio(set64, 'ours', 'plain ioredis'),
  },
  {
    what: 'set, 1 in flight / plain ioredis',
    floor: 0.5,
    reached: ratio(set1, 'ours', 'plain ioredis'),
  },
  {
    what: 'near hit / bentocache tiered',
    floor: 5,
    reached: ratio(near, 'ours, tiered', 'bentocache, tiered'),
  },
  {
    what: 'near hit / cacheable tiered',
    floor: 5,
    reached: ratio(near, 'ours, tiered', 'cacheable, tiered'),
  },
  {
    what: `evictScope of ${eviction.entries} entries, 10 ms / time`,
    floor: 1,
    reached: Math.round((10 / eviction.takesEffectMs) * 100) / 100,
  },
  {
    what: 'commands above 5 ms while space is reclaimed: 1 when none',
    floor: 1,
    reached: eviction.slowlog.length === 0 ? 1 : 0,
  },
];
report('redis', { quick: isQuick, get64, set64, get1, set1, nearHits: near, eviction }, floors);
process.exit(0);

async function timeEviction(entries: number) {
  await admin.flushall();
  const cache = createTestCache(
    {
      ttl: '1h',
      storage: redisStorage({ url, timeout: '30s' }),
      storageTimeout: '60s',
      namespace: 'big',
    },
    { clock },
  );
  const usedBytes = async (): Promise<number> =>
    Number(/used_memory:(\d+)/.exec(await admin.info('memory'))![1]);
  const text = JSON.stringify(value(1));
  const before = await usedBytes();
  const USERS = 1_000;
  for (let from = 0; from < entries; from += 2_000) {
    const user = (from / 2_000) % USERS;
    const batch = Array.from({ length: 2_000 }, (_, nth) => [`k${from + nth}`, text] as const);
    await cache.setMany(batch, { scope: { org: 'big', user: `u${user}` } });
  }
  const overhead = Math.round(((await usedBytes()) - before) / entries) - text.length;
  await admin.slowlog('RESET');
  const start = performance.now();
  const evicting = cache.evictScope({ org: 'big' });
  let takesEffectMs = Infinity;
  const probe = (async () => {
    while ((await cache.get('k0', { scope: { org: 'big', user: 'u0' } })) !== undefined);
    takesEffectMs = Math.round((performance.now() - start) * 10) / 10;
  })();
  const evicted = await evicting;
  const resolvedMs = Math.round((performance.now() - start) * 10) / 10;
  await probe;
  while ((await admin.dbsize()) > entries / 100 && performance.now() - start < 120_000)
    await new Promise((resolve) => setTimeout(resolve, 200));
  const reclaimedMs = Math.round(performance.now() - start);
  const slowlog = (await admin.slowlog('GET', 20)) as [number, number, number, string[]][];
  await cache.close();
  return {
    entries,
    evicted,
    overheadBytesPerEntry: overhead,
    takesEffectMs,
    resolvedMs,
    reclaimedMs,
    keysLeft: await admin.dbsize(),
    slowlog: slowlog.map(
      ([, , us, command]) => `${us} us ${command.slice(0, 2).join(' ').slice(0, 80)}`,
    ),
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
