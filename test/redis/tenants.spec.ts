import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Cache } from '../../lib/core/cache.js';
import type { StorageDriver } from '../../lib/core/storage.js';
import { memoryStorage, tieredStorage } from '../../lib/index.js';
import { redisStorage } from '../../lib/redis.js';
import { makeCache } from '../support/make-cache.js';
import type { ServerProcess } from '../support/servers/process.js';
import {
  startRedis,
  startRedisCluster,
  until,
  type ServerGroup,
} from '../support/servers/redis.js';
import { sleep } from './support.js';

/** Ids that mean something to a shell, a glob, a protocol, a path or a Cluster, beside ordinary ones that they could hit. */
const ODD = ['*', '[ab]', '{x}', 'a:b', '..', 'a\r\nFLUSHALL\r\nb'];
const ORDINARY = ['a', 'b', 'ab', 'x', 'tenant-1', 'tenant-10'];
const TENANTS = [...ODD, ...ORDINARY];
const KEYS = ['k', '*', 'a:b'];

let server: ServerProcess;
let cluster: ServerGroup;
let caches: Cache[] = [];

beforeAll(async () => {
  [server, cluster] = await Promise.all([startRedis(), startRedisCluster(0)]);
}, 60_000);
afterAll(() => Promise.all([server.stop(), cluster.stop()]));
afterEach(async () => {
  for (const cache of caches) await cache.clear().catch(() => undefined);
  await Promise.all(caches.map((cache) => cache.close()));
  caches = [];
});

const single = (): StorageDriver =>
  redisStorage({ url: `redis://127.0.0.1:${server.port}`, timeout: '2s' });
const group = (): StorageDriver =>
  redisStorage({
    cluster: { nodes: cluster.ports.map((port) => ({ host: '127.0.0.1', port })) },
    timeout: '2s',
  });
const tiered = (far: StorageDriver): StorageDriver =>
  tieredStorage({ near: memoryStorage(), far, heartbeat: '100ms' });

const STORAGES: readonly (readonly [string, () => StorageDriver])[] = [
  ['one server', single],
  ['a Cluster', group],
  ['memory before one server', () => tiered(single())],
  ['memory before a Cluster', () => tiered(group())],
];

describe.each(STORAGES)('P1 P14 tenants with odd names beside ordinary ones, on %s', (_, make) => {
  let cache: Cache;
  let other: Cache;

  /** Every tenant with an entry of its own and one of a user; and what belongs to nobody. */
  async function fill(): Promise<void> {
    [cache, other] = await Promise.all([open(), open()]);
    await until(() => serves(), 'it serves');
    for (const org of TENANTS) {
      const values = Object.fromEntries(KEYS.map((key) => [key, `${org} ${key}`]));
      await cache.setMany(values, { scope: { org }, tags: ['all', org] });
      await cache.setMany(values, { scope: { org, user: org }, tags: ['all', `user ${org}`] });
    }
    await cache.set('global', 'kept', { tags: ['global'] });
    await other.size();
  }

  async function open(namespace = 'tenants'): Promise<Cache> {
    const made = makeCache({ storage: make(), namespace, onStorageError: 'throw' });
    caches.push(made);
    await made.ready();
    return made;
  }

  async function serves(): Promise<boolean> {
    try {
      for (const org of TENANTS) await cache.delete('warm', { scope: { org } });
      await other.clear();
      return true;
    } catch {
      // A Cluster that has just been made.
      return false;
    }
  }

  /** What both nodes find of a tenant. On the other one, after the bus has had its time (P6). */
  async function found(org: string): Promise<unknown[]> {
    const all: unknown[] = [];
    for (const reader of [cache, other])
      for (const scope of [{ org }, { org, user: org }])
        all.push(...(await reader.getMany(KEYS, { scope })));
    return all;
  }

  const whole = (org: string): unknown[] =>
    [1, 2, 3, 4].flatMap(() => KEYS.map((key) => `${org} ${key}`));

  async function onlyChanged(changed: string, expected: unknown[]): Promise<void> {
    // The bus has its time, on a busy machine too.
    await sleep(150);
    for (const org of TENANTS)
      expect([org, await found(org)]).toEqual([org, org === changed ? expected : whole(org)]);
    expect(await other.get('global')).toBe('kept');
  }

  test('every listing and count shows the tenant that was asked for, and no other', async () => {
    await fill();
    for (const org of TENANTS) {
      expect([org, await other.size({ scope: { org } })]).toEqual([org, 2 * KEYS.length]);
      const lines = [];
      for await (const line of other.entries({ scope: { org }, deep: true })) lines.push(line);
      expect(lines.map(({ scope }) => (scope as { org: string }).org)).toEqual(
        lines.map(() => org),
      );
      expect(lines.map(({ value }) => value).sort()).toEqual(
        KEYS.flatMap((key) => [`${org} ${key}`, `${org} ${key}`]).sort(),
      );
      const own = [];
      for await (const key of other.keys({ scope: { org } })) own.push(key);
      expect(own.sort()).toEqual([...KEYS].sort());
      const matched = [];
      for await (const key of other.keys({ scope: { org }, match: 'a:*' })) matched.push(key);
      expect(matched).toEqual(['a:b']);
    }
    expect(await other.size()).toBe(2 * KEYS.length * TENANTS.length + 1);
  });

  test('every eviction takes what it names, and nothing of another tenant', async () => {
    await fill();
    const gone = whole('').map(() => undefined);
    for (const org of ODD) {
      expect(await cache.evictTags([`user ${org}`])).toBe(KEYS.length);
      const half = whole(org).map((value, at) => (at % 6 < 3 ? value : undefined));
      await onlyChanged(org, half);
      expect(await cache.evictTags('all', { scope: { org } })).toBe(KEYS.length);
      await onlyChanged(org, gone);
      const values = Object.fromEntries(KEYS.map((key) => [key, `${org} ${key}`]));
      for (const scope of [{ org }, { org, user: org }])
        await cache.setMany(values, { scope, tags: ['all'] });
      expect(await cache.delete('*', { scope: { org } })).toBe(true);
      await cache.set('*', `${org} *`, { scope: { org } });
      await onlyChanged('', []);
      expect(await cache.evictScope({ org, user: org })).toBe(KEYS.length);
      await onlyChanged(org, half);
      expect(await cache.evictScope({ org })).toBe(KEYS.length);
      await onlyChanged(org, gone);
      for (const scope of [{ org }, { org, user: org }])
        await cache.setMany(values, { scope, tags: ['all', `user ${org}`] });
    }
  });

  test('clear takes its own namespace, whatever the others are called', async () => {
    await fill();
    const names = [...ODD, 'tenants*', 'tenant', 'tenants:', '{tenants}'];
    const neighbours = await Promise.all(names.map((name) => open(name)));
    for (const one of neighbours) await one.set('k', one.namespace, { scope: { org: '*' } });
    await cache.clear();
    // The bus has its time, on a busy machine too.
    await sleep(150);
    for (const org of TENANTS)
      expect((await found(org)).filter((one) => one !== undefined)).toEqual([]);
    for (const one of neighbours) {
      expect(await one.get('k', { scope: { org: '*' } })).toBe(one.namespace);
      await one.clear();
      expect(await one.size()).toBe(0);
    }
  });
});
