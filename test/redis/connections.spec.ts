import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Cluster, Redis } from 'ioredis';
import type { CacheFault } from '../../lib/core/cache-listener.js';
import type { Cache } from '../../lib/core/cache.js';
import { memoryStorage, tieredStorage } from '../../lib/index.js';
import { redisStorage, type RedisStorageOptions } from '../../lib/redis.js';
import { makeCache } from '../support/make-cache.js';
import { freePort, type ServerProcess } from '../support/servers/process.js';
import { cli, startRedis, until } from '../support/servers/redis.js';

const folder = mkdtempSync(join(tmpdir(), 'nsc-tls-'));
const [KEY, CERTIFICATE] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];

let server: ServerProcess;
let tlsPort: number;
let hasTls = true;
let caches: Cache[] = [];
let faults: CacheFault[] = [];

beforeAll(async () => {
  const words = 'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext';
  const files = ['subjectAltName=IP:127.0.0.1,DNS:localhost', '-keyout', KEY, '-out', CERTIFICATE];
  execFileSync('openssl', [...words.split(' '), ...files], { stdio: 'pipe' });
  tlsPort = await freePort();
  const certificates = ['--tls-cert-file', CERTIFICATE, '--tls-key-file', KEY];
  const tls = ['--tls-port', String(tlsPort), '--tls-auth-clients', 'no', ...certificates];
  try {
    server = await startRedis([...tls, '--tls-ca-cert-file', CERTIFICATE]);
  } catch {
    // A redis-server built without TLS does not know these options.
    hasTls = false;
    server = await startRedis();
  }
}, 60_000);
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(async () => {
  await Promise.all(caches.map((cache) => cache.close()));
  caches = [];
  faults = [];
});

async function open(options: RedisStorageOptions, near = false): Promise<Cache> {
  const far = redisStorage({ timeout: '1s', ...options });
  const storage = near ? tieredStorage({ near: memoryStorage(), far, heartbeat: '200ms' }) : far;
  const onFault = (fault: CacheFault): void => void faults.push(fault);
  const cache = makeCache({ storage, onStorageError: 'throw', listener: { onFault } });
  caches.push(cache);
  await cache.ready();
  return cache;
}

/** What is needed of a connection: scripts, bytes, lists of keys, leases. */
async function isOfUse(cache: Cache): Promise<void> {
  const where = { scope: { org: 'o' }, tags: ['t'] };
  await cache.clear();
  await cache.set('k', { bytes: new Uint8Array([0, 255]), big: 2n ** 70n }, where);
  expect(await cache.get('k', where)).toEqual({ bytes: new Uint8Array([0, 255]), big: 2n ** 70n });
  expect(await cache.getOrSet('l', () => 'loaded', where)).toBe('loaded');
  expect(await cache.increment('n', { by: 0.5 })).toBe(0.5);
  expect(await cache.merge('m', { a: 1 })).toEqual({ a: 1 });
  expect(await cache.touch('k', { scope: { org: 'o' }, ttl: 60 })).toBe(true);
  const keys = [];
  for await (const key of cache.keys({ deep: true })) keys.push(key);
  expect(keys.sort()).toEqual(['k', 'l', 'm', 'n']);
  expect(await cache.evictTags('t')).toBe(2);
  expect(await cache.evictScope('global')).toBe(2);
}

describe('rediss://', () => {
  test('a certificate of one’s own: trusted by "ca", for entries and for the bus', async () => {
    if (!hasTls) return console.warn('SKIPPED: this redis-server was built without TLS.');
    const tls = { ca: readFileSync(CERTIFICATE) };
    const options = { host: '127.0.0.1', port: tlsPort, tls };
    await isOfUse(await open({ options }));
    const [a, b] = [await open({ options }, true), await open({ options }, true)];
    await isOfUse(a);
    await until(async () => (await b.stats()).storage['busPeers'] === 1, 'they hear each other');
    const clients = await cli(server.port, 'client', 'list');
    const laddr = clients.split('\n').filter((line) => line.includes(`laddr=127.0.0.1:${tlsPort}`));
    // Two nodes: one connection each for entries, to listen and to speak.
    expect(laddr.length).toBeGreaterThanOrEqual(6);
  });

  test('a certificate that nobody vouches for is refused, and the fault says so', async () => {
    if (!hasTls) return console.warn('SKIPPED: this redis-server was built without TLS.');
    const cache = await open({ url: `rediss://:canary@127.0.0.1:${tlsPort}` });
    await expect(cache.get('k')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    const text = faults.map(({ error }) => String(error)).join('\n');
    expect(text).toMatch(/self-signed certificate/);
    expect(text).not.toContain('canary');
  });
});

describe('RESP', () => {
  // ioredis speaks RESP3 since 6.0, by default; before, there is only RESP2.
  test.each([2, 3] as const)('RESP%d does all that is needed', async (protocol) => {
    const cache = await open({ options: { host: '127.0.0.1', port: server.port, protocol } });
    await isOfUse(cache);
    const clients = await cli(server.port, 'client', 'list');
    // CLIENT LIST tells the protocol; the one that asks speaks RESP2.
    expect(clients.includes('resp=3')).toBe(protocol === 3);
    await isOfUse(await open({ options: { port: server.port, protocol } }, true));
  });
});

describe('ACL users', () => {
  test('the rights that docs/redis.md names are enough', async () => {
    const rights = ['~nsc:*', '&nsc.*', '+@read', '+@write', '+@scripting', '+@connection'];
    await cli(server.port, 'acl', 'setuser', 'app', 'on', '>pw', 'resetchannels', ...rights);
    const url = `redis://app:pw@127.0.0.1:${server.port}`;
    await isOfUse(await open({ url }));
    // The bus needs pub/sub on its channels besides.
    await cli(server.port, 'acl', 'setuser', 'app', '+@pubsub');
    const [a, b] = [await open({ url }, true), await open({ url }, true)];
    await isOfUse(a);
    await until(async () => (await b.stats()).storage['busPeers'] === 1, 'they hear each other');
    const client = new Redis(url);
    await expect(client.set('theirs', 1)).rejects.toThrow(/NOPERM/);
    client.disconnect();
  });
});

describe('a client handed in', () => {
  test.each(['redis', 'tiered'] as const)(
    '%s: it is never closed, never reconfigured, and its listeners are given back',
    async (tiers) => {
      const client = new Redis(server.port, '127.0.0.1', {
        keyPrefix: 'app:',
        commandTimeout: 5_000,
      });
      await client.ping();
      const name = await client.client('GETNAME');
      const before = JSON.stringify(client.options);
      const listeners = (): string =>
        JSON.stringify(client.eventNames().map((event) => [event, client.listenerCount(event)]));
      const heard = listeners();
      const cache = await open({ client }, tiers === 'tiered');
      await isOfUse(cache);
      const other = await open({ client });
      await cache.close();
      await isOfUse(other);
      await other.close();
      expect(JSON.stringify(client.options)).toBe(before);
      expect(await client.client('GETNAME')).toBe(name);
      expect(listeners()).toBe(heard);
      expect(client.status).toBe('ready');
      // Not subscribed, not in a transaction, on the same database: it does what its owner wants.
      await client.set('mine', 1);
      expect(await cli(server.port, 'get', 'app:mine')).toBe('1');
      client.disconnect();
    },
  );

  test('that makes text of numbers is refused, with what to do; as an option of our own client it changes nothing', async () => {
    const client = new Redis(server.port, '127.0.0.1', { stringNumbers: true, lazyConnect: true });
    expect(() => redisStorage({ client })).toThrow(/"stringNumbers".*duplicate/);
    const cluster = new Cluster([{ port: server.port }], {
      lazyConnect: true,
      redisOptions: { stringNumbers: true },
    });
    expect(() => redisStorage({ client: cluster })).toThrow(/"stringNumbers"/);
    cluster.disconnect();
    const duplicate = client.duplicate({ stringNumbers: false });
    await isOfUse(await open({ client: duplicate }));
    duplicate.disconnect();
    client.disconnect();
    await isOfUse(
      await open({ options: { host: '127.0.0.1', port: server.port, stringNumbers: true } }),
    );
  });

  test('one that was never connected stays as lazy as it is until it is used', async () => {
    const client = new Redis(server.port, '127.0.0.1', { lazyConnect: true });
    const cache = makeCache({ storage: redisStorage({ client }), onStorageError: 'throw' });
    caches.push(cache);
    await isOfUse(cache);
    await cache.close();
    expect(client.status).toBe('ready');
    client.disconnect();
  });
});
