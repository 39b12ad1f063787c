import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { memoryStorage, tieredStorage, type StorageDriver } from 'nestjs-scoped-cache';
import { redisStorage } from 'nestjs-scoped-cache/redis';
import { storageContract } from 'nestjs-scoped-cache/testing';
import type { ServerProcess } from '../support/servers/process.js';
import { startRedis } from '../support/servers/redis.js';
import { together } from '../support/together.js';
import { findRelease, HOW_TO_FETCH, type Release } from '../support/servers/releases.js';

const RELEASES: readonly (Release | 'the redis-server of this machine')[] = [
  'the redis-server of this machine',
  'valkey-8',
  'redis-8',
  'redis-6.2',
];

describe.each(RELEASES)('CA-44 one server: %s', (name) => {
  const release = name === 'the redis-server of this machine' ? undefined : name;
  if (release !== undefined && findRelease(release) === undefined) {
    it(`${HOW_TO_FETCH}: the storage contract on ${release}`, () => undefined);
    return;
  }

  let server: ServerProcess;
  beforeAll(async () => {
    server = await startRedis([], undefined, release && findRelease(release));
  }, 60_000);
  afterAll(() => server.stop());

  const driver = (): StorageDriver =>
    redisStorage({ url: `redis://127.0.0.1:${server.port}`, timeout: '2s' });
  const real = { shared: 'fleet', realTime: true, wait, idleStepMs: 1_000 } as const;

  storageContract({ name: 'redis', ...real, makeStorage: driver, ...together() });

  if (release !== undefined) return;
  storageContract({
    name: 'memory before redis',
    ...real,
    makeStorage: () => tieredStorage({ near: memoryStorage(), far: driver(), heartbeat: '200ms' }),
    delayMs: 150,
    // It goes by the far tier's knowledge of reads: near hits do not reach it.
    cannot: ['idle'],
    ...together(),
  });
});
