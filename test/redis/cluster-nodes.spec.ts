import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Cluster } from 'ioredis';
import type { OpenStorage } from '../../lib/core/storage.js';
import { redisStorage, type RedisStorageOptions } from '../../lib/redis.js';
import { cli, startRedisCluster, until, type ServerGroup } from '../support/servers/redis.js';
import { at, entry, testHost } from './support.js';

let cluster: ServerGroup;
let storages: OpenStorage[] = [];

beforeAll(async () => {
  cluster = await startRedisCluster(0);
  const storage = await open({ timeout: '5s' });
  await until(async () => (await faultsOf(storage)).length === 0, 'the Cluster serves');
}, 60_000);
afterAll(() => cluster.stop());
afterEach(async () => {
  await Promise.all(storages.map((storage) => storage.close()));
  storages = [];
});

const nodes = () => cluster.ports.map((port) => ({ host: '127.0.0.1', port }));

async function open(options: Partial<RedisStorageOptions> = {}): Promise<OpenStorage> {
  const source = options.client ? {} : { cluster: { nodes: nodes() } };
  const storage = redisStorage({ timeout: '2s', ...source, ...options }).open(testHost());
  storages.push(storage);
  await storage.ready?.();
  return storage;
}

/** Commands of all kinds to all servers, one after another, each before the one before has an answer. */
async function faultsOf(storage: OpenStorage): Promise<unknown[]> {
  const calls: Promise<unknown>[] = [];
  for (let org = 0; org < 100; org++) {
    const where = at('k', { org: `o${org}` });
    calls.push(
      Promise.resolve(storage.remove(at('other', { org: `o${org}` }))),
      Promise.resolve(storage.read(where)),
      Promise.resolve(storage.write(where, entry(org))),
    );
    await new Promise((resolve) => setImmediate(resolve));
  }
  const ends = await Promise.allSettled(calls);
  return ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
}

/** How often a server has been asked for what another one has: what the client does with a command that it could not send. */
async function astray(): Promise<number> {
  const counts = cluster.ports.map(async (port) => {
    const stats = await cli(port, 'info', 'errorstats');
    return Number(/errorstat_MOVED:count=(\d+)/.exec(stats)?.[1] ?? 0);
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

describe('P12 a Cluster whose servers are just being connected to', () => {
  test('the first commands to each server are all answered by it, and none goes astray', async () => {
    const before = await astray();
    for (let round = 0; round < 10; round++) expect(await faultsOf(await open())).toEqual([]);
    expect(await astray()).toBe(before);
  });

  test('so are they on a client without a queue that was handed in', async () => {
    const before = await astray();
    for (let round = 0; round < 10; round++) {
      const client = new Cluster(nodes(), { enableOfflineQueue: false });
      await new Promise((resolve) => client.once('ready', resolve));
      const storage = await open({ client });
      expect(await faultsOf(storage)).toEqual([]);
      await storage.close();
      expect(client.listenerCount('+node')).toBe(0);
      client.disconnect();
    }
    expect(await astray()).toBe(before);
  });

  test('and those that follow a lost connection', async () => {
    const storage = await open();
    expect(await faultsOf(storage)).toEqual([]);
    for (let round = 0; round < 10; round++) {
      await cli(cluster.ports[round % 3]!, 'client', 'kill', 'type', 'normal');
      // What was on its way may fail; what comes when the loss is known may not.
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await faultsOf(storage)).toEqual([]);
    }
  });
});

test('P7 all processes go by the clock of the same server', async () => {
  for (const port of cluster.ports) await cli(port, 'config', 'resetstat');
  for (let round = 0; round < 10; round++) {
    const storage = await open();
    for (let org = 0; org < 20; org++) await storage.read(at('k', { org: `o${org}` }));
  }
  const asked = [];
  for (const port of cluster.ports)
    if ((await cli(port, 'info', 'commandstats')).includes('cmdstat_time:')) asked.push(port);
  expect(asked).toHaveLength(1);
});
