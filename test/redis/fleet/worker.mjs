/** One process of a fleet: argv is the folder of the built package, the port, and the tiers. Does what it is told, one message each. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Redis } from 'ioredis';

const [dist, port, tiers] = process.argv.slice(2);
const from = (file) => import(pathToFileURL(join(dist, file)).href);
const { Cache, memoryStorage, tieredStorage } = await from('index.js');
const { redisStorage } = await from('redis.js');
const { nodePlatform } = await from('platform/node-platform.js');

const far = redisStorage({ url: `redis://127.0.0.1:${port}` });
const storage =
  tiers === 'tiered' ? tieredStorage({ near: memoryStorage(), far, heartbeat: '200ms' }) : far;
const cache = new Cache({ storage, ttl: '10m' }, nodePlatform, undefined, () => memoryStorage());
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** Where loaders read, when they are told no value: what the cache is a cache of. */
const source = new Redis(Number(port), '127.0.0.1');
let loads = 0;

const tasks = {
  get: ({ key, options }) => cache.get(key, options),
  set: ({ key, value, options }) => cache.set(key, value, options),
  delete: ({ key, options }) => cache.delete(key, options),
  evictScope: ({ scope }) => cache.evictScope(scope),
  evictTags: ({ tags, options }) => cache.evictTags(tags, options),
  expireTags: ({ tags, options }) => cache.expireTags(tags, options),
  clear: () => cache.clear(),
  size: () => cache.size(),
  figures: async () => (await cache.stats()).storage,
  loads: () => loads,
  load: ({ key, value, ms, options, callers = 1 }) =>
    Promise.all(
      Array.from({ length: callers }, () =>
        cache.getOrSet(
          key,
          async () => {
            loads++;
            process.send({ loading: key });
            const read = value ?? (await source.get(`source:${key}`));
            await sleep(ms);
            return read;
          },
          options,
        ),
      ),
    ),
  close: async () => {
    await cache.close();
    process.disconnect();
  },
};

process.on('message', ({ id, task, ...input }) => {
  Promise.resolve(tasks[task](input)).then(
    (result) => process.connected && process.send({ id, result }),
    (error) => process.connected && process.send({ id, error: String(error) }),
  );
});
await cache.ready();
await sleep(300);
process.send({ ready: true });
