import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import type { CacheOptions } from '../../lib/core/cache-options.js';
import type { Cache } from '../../lib/core/cache.js';
import { redisStorage, type RedisStorageOptions } from '../../lib/redis.js';
import { makeCache } from '../support/make-cache.js';
import { freePort, type ServerProcess } from '../support/servers/process.js';
import { cli, startRedis, until } from '../support/servers/redis.js';
import { Stalls } from '../support/stalls.js';
import { sleep } from './support.js';

/** One command may take 250 ms, a request waits for one that fails, and the machine is busy. */
const DEADLINE_MS = 450;

let server: ServerProcess;
let caches: Cache[];
let faults: string[];
let faultsInFull: string;
let stalls: Stalls;

beforeEach(async () => {
  caches = [];
  faults = [];
  faultsInFull = '';
  stalls = new Stalls();
});
afterEach(async () => {
  stalls.stop();
  await Promise.all(caches.map((cache) => cache.close()));
  await server.stop();
});

function open(redis: RedisStorageOptions, options: CacheOptions = {}): Cache {
  const onFault = ({ error }: { error: unknown }): void => {
    faults.push(String(error));
    faultsInFull += inspect(error, { depth: 9 });
  };
  const cache = makeCache({ storage: redisStorage(redis), listener: { onFault }, ...options });
  caches.push(cache);
  return cache;
}

const url = (user = ''): RedisStorageOptions => ({
  url: `redis://${user}127.0.0.1:${server.port}`,
});

/** What a request would do: it must get its answer in time, whatever the server says. */
async function inTime<T>(what: string, work: () => Promise<T>): Promise<T> {
  const taken = stalls.stopwatch();
  const result = await work();
  expect([what, taken().waitedMs < DEADLINE_MS]).toEqual([what, true]);
  return result;
}

const O = { scope: { org: 'o' } };

/**
 * While the server answers with the error: requests get their answers in time, one load serves many callers, evictions
 * are in force here; afterwards they have reached the server, and everything works without a restart.
 */
async function survives(
  redis: RedisStorageOptions,
  trouble: { begin(): Promise<unknown>; end(): Promise<unknown>; says: RegExp },
): Promise<void> {
  const [cache, strict, other] = [
    open(redis),
    open(redis, { onStorageError: 'throw' }),
    open(url()),
  ];
  const tagged = { scope: { org: 'p' }, tags: ['t'] };
  for (const key of ['evicted', 'deleted', 'replaced']) await cache.set(key, 'old', O);
  await cache.set('tagged', 'old', tagged);
  await trouble.begin();
  let loads = 0;
  const load = async (): Promise<string> => {
    loads++;
    await sleep(20);
    return 'loaded';
  };
  const callers = Array.from({ length: 20 }, () => cache.getOrSet('fresh', load, O));
  expect(new Set(await inTime('getOrSet', () => Promise.all(callers)))).toEqual(
    new Set(['loaded']),
  );
  expect(loads).toBe(1);
  await inTime('get', () => cache.get('nothing', O));
  await inTime('set', () => cache.set('replaced', 'new', O));
  await inTime('delete', () => cache.delete('deleted', O));
  await inTime('evictTags', () => cache.evictTags('t'));
  await inTime('evictScope', () => cache.evictScope({ org: 'o' }));
  const read = ['evicted', 'deleted', 'replaced'];
  expect(await inTime('getMany', () => cache.getMany(read, O))).not.toContain('old');
  expect(await inTime('get', () => cache.get('tagged', tagged))).not.toBe('old');
  expect(faults.join('\n')).toMatch(trouble.says);
  await inTime('a set that throws', () =>
    expect(strict.set('strict', 1, O)).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      message: expect.stringMatching(trouble.says),
    }),
  );
  await trouble.end();
  await until(async () => {
    await cache.set('again', 1, O);
    const { storage } = await cache.stats();
    return storage['journaledEvictions'] === 0 && (await other.get('again', O)) === 1;
  }, 'all works again');
  expect(await other.getMany(read, O)).not.toContain('old');
  expect(await other.get('tagged', tagged)).toBeUndefined();
  await until(
    () =>
      strict.set('strict', 2, O).then(
        () => true,
        () => false,
      ),
    'the circuit has closed',
  );
  expect(await other.get('strict', O)).toBe(2);
}

describe('what the server answers instead of doing it (P12, P13)', () => {
  const config = (...words: string[]): Promise<string> =>
    cli(server.port, 'config', 'set', ...words);
  const say = (...words: string[]): Promise<string> => cli(server.port, ...words);

  const ANSWERS: readonly (readonly [
    string,
    { begin(): Promise<unknown>; end(): Promise<unknown>; says: RegExp },
  ])[] = [
    [
      'READONLY',
      {
        begin: async () => say('replicaof', '127.0.0.1', String(await freePort())),
        end: () => say('replicaof', 'no', 'one'),
        says: /READONLY.*connect to the master/,
      },
    ],
    [
      'MASTERDOWN',
      {
        begin: async () => {
          await config('replica-serve-stale-data', 'no');
          await say('replicaof', '127.0.0.1', String(await freePort()));
        },
        end: () => say('replicaof', 'no', 'one'),
        says: /MASTERDOWN.*lost its master/,
      },
    ],
    [
      'OOM',
      {
        begin: () => config('maxmemory', '1'),
        end: () => config('maxmemory', '0'),
        says: /OOM.*maxmemory-policy/,
      },
    ],
    [
      'NOREPLICAS',
      {
        begin: () => config('min-replicas-to-write', '1'),
        end: () => config('min-replicas-to-write', '0'),
        says: /NOREPLICAS.*min-replicas-to-write/,
      },
    ],
    [
      'BUSY',
      {
        begin: async () => {
          await config('busy-reply-threshold', '50');
          const args = ['-p', String(server.port), 'eval', 'while true do end', '0'];
          spawn('redis-cli', args, { stdio: 'ignore' }).unref();
          await until(async () => (await say('ping')).startsWith('BUSY'), 'the script blocks');
        },
        end: () => say('script', 'kill'),
        says: /BUSY.*script that is not ours/,
      },
    ],
    [
      'NOAUTH',
      {
        begin: async () => {
          await config('requirepass', 'secret-canary');
          await say('-a', 'secret-canary', 'client', 'kill', 'type', 'normal');
          await until(() => faults.length > 0, 'the client was turned away');
        },
        end: () => say('-a', 'secret-canary', 'config', 'set', 'requirepass', ''),
        says: /NOAUTH.*Give a password/,
      },
    ],
  ];

  test.each(ANSWERS)(
    '%s',
    async (_, trouble) => {
      server = await startRedis();
      await survives(url(), trouble);
    },
    60_000,
  );

  test('WRONGPASS, after the password of an ACL user was changed', async () => {
    server = await startRedis();
    await say('acl', 'setuser', 'app', 'on', '>pw-canary', '~*', '&*', '+@all');
    await survives(url('app:pw-canary@'), {
      begin: async () => {
        await say('acl', 'setuser', 'app', 'resetpass', '>other');
        await say('client', 'kill', 'user', 'app');
        await until(() => faults.length > 0, 'the client was turned away');
      },
      end: () => say('acl', 'setuser', 'app', '>pw-canary'),
      says: /WRONGPASS.*Check the user name/,
    });
    expect(faultsInFull).toContain('WRONGPASS');
    expect(faultsInFull).not.toContain('canary');
  }, 60_000);

  test('NOPERM, after rights of an ACL user were taken away', async () => {
    server = await startRedis();
    await say('acl', 'setuser', 'app', 'on', '>pw-canary', '~*', '&*', '+@all');
    await survives(url('app:pw-canary@'), {
      begin: () => say('acl', 'setuser', 'app', '-@scripting'),
      end: () => say('acl', 'setuser', 'app', '+@scripting'),
      says: /NOPERM.*docs\/redis.md/,
    });
  }, 60_000);

  test('LOADING, while the server reads a large file at its start', async () => {
    server = await startRedis([
      '--enable-debug-command',
      'local',
      '--key-load-delay',
      '1500',
      '--loading-process-events-interval-bytes',
      '1024',
    ]);
    await say('debug', 'populate', '2000', 'foreign', '2');
    // A client of the application that does not check by itself whether the server is ready.
    const client = new Redis(server.port, '127.0.0.1', {
      enableReadyCheck: false,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => 50,
    });
    client.on('error', () => undefined);
    let up: Promise<void> | undefined;
    await survives(
      { client },
      {
        begin: async () => {
          await say('save');
          await server.kill();
          up = server.restart();
          await until(
            async () => (await say('ping').catch(() => '')).includes('LOADING'),
            'it loads',
          );
          await until(() => client.status === 'ready', 'the client is connected again');
        },
        end: () => up!,
        says: /LOADING.*will answer when/,
      },
    );
    client.disconnect();
  }, 60_000);

  test('WRONGTYPE: somebody else’s key under our prefix is a miss and left as it is, and costs no other key anything', async () => {
    server = await startRedis();
    const cache = open(url());
    await cache.set('theirs', 1, O);
    const key = (await say('keys', '*}:e:*')).trim();
    await say('del', key);
    await say('rpush', key, 'foreign');
    for (let round = 0; round < 8; round++) {
      expect(await cache.get('theirs', O)).toBeUndefined();
      await inTime('set', () => cache.set('theirs', 2, O));
      expect(await cache.getOrSet('theirs', () => 'loaded', O)).toBe('loaded');
      await inTime('delete', () => cache.delete('theirs', O));
      await cache.set('ours', round, O);
      expect(await cache.get('ours', O)).toBe(round);
    }
    await cache.evictScope({ org: 'o' });
    await cache.clear();
    expect(await say('lrange', key, '0', '-1')).toBe('foreign');
    expect(faults.join('\n')).toMatch(/WRONGTYPE.*another "prefix"/);
    await cache.set('ours', 1, O);
    expect(await open(url()).get('ours', O)).toBe(1);
  }, 60_000);

  test('NOSCRIPT: a server that forgets scripts under load makes no operation fail', async () => {
    server = await startRedis();
    // Not about time: with this test's own processes beside it, the server may take long for an answer.
    const cache = open({ ...url(), timeout: '20s' });
    let isOver = false;
    const flushing = (async () => {
      for (; !isOver; await sleep(1)) await say('script', 'flush');
    })();
    await Promise.all(
      Array.from({ length: 8 }, async (_, worker) => {
        for (let round = 0; round < 40; round++) {
          const key = `k${worker}`;
          await cache.set(key, round, { ...O, tags: [key] });
          expect(await cache.get(key, O)).toBe(round);
          expect(await cache.increment(`n${worker}`, O)).toBe(round + 1);
          if (round % 3 === 0) expect(await cache.evictTags(key)).toBe(1);
          else expect(await cache.delete(key, O)).toBe(true);
          expect(await cache.getOrSet(key, () => 'loaded', O)).toBe('loaded');
        }
      }),
    );
    isOver = true;
    await flushing;
    expect(faults).toEqual([]);
  }, 60_000);
});
