/**
 * One process with several caches, each of which is used for a while and closed; argv is what to do, as JSON. Says when all
 * are closed, and then, if it is still there, what keeps it.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { dist, redis, near, closeAfterMs } = JSON.parse(process.argv[2]);
const from = (file) => import(pathToFileURL(join(dist, file)).href);
const { Cache, memoryStorage, tieredStorage } = await from('index.js');
const { redisStorage } = await from('redis.js');
const { nodePlatform } = await from('platform/node-platform.js');
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function useAndClose(ms) {
  const far = redisStorage(redis);
  const storage = near ? tieredStorage({ near: memoryStorage(), far, heartbeat: '200ms' }) : far;
  const cache = new Cache({ storage }, nodePlatform, undefined, () => memoryStorage());
  const end = performance.now() + ms;
  const work = async (org) => {
    for (let count = 0; performance.now() < end; count++) {
      await cache.getOrSet(`k${count % 5}`, () => sleep(5), { scope: { org } });
      await cache.delete(`k${count % 3}`, { scope: { org } });
      await sleep(5);
    }
  };
  await Promise.all(Array.from({ length: 4 }, (_, org) => work(`o${org}`)));
  await cache.close();
}

await Promise.all(closeAfterMs.map(useAndClose));
process.send('closed');
process.disconnect();
setTimeout(() => {
  const kept = process._getActiveHandles().map((one) => {
    const { localPort = '', remotePort = '', connecting = '', destroyed = '' } = one;
    return `${one.constructor.name} ${localPort}-${remotePort} ${connecting} ${destroyed}`;
  });
  console.error(process.getActiveResourcesInfo().join(), JSON.stringify(kept));
}, 2_000).unref();
