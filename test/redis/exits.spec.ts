import { fork } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { RedisStorageOptions } from '../../lib/redis.js';
import { freePort } from '../support/servers/process.js';
import {
  startRedis,
  startRedisCluster,
  startSentinel,
  type SentinelGroup,
  type ServerGroup,
} from '../support/servers/redis.js';
import { buildPackage } from './fleet/fleet.js';
import { sleep } from './support.js';

/** From the end of `close` to the end of the process: what was asked of a server or sentinel that hangs may take that long. */
const EXIT_MS = 3_500;
/** Beyond that it will not end. */
const GIVEN_UP_MS = 6_000;
/** How long each cache of a process is used; the closing meets connections in all states. */
const CLOSE_AFTER_MS = [0, 1, 5, 20, 60, 150, 300, 600, 900, 1_000, 1_030, 1_100, 1_300, 1_700];

let built: ReturnType<typeof buildPackage>;
beforeAll(() => {
  built = buildPackage();
}, 120_000);
afterAll(() => built.remove());

/** What to undo, last first. */
let after: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of after.reverse()) await undo();
  after = [];
});

/** How long a process went on after all of its caches were closed; `meanwhile` is done while they are used. */
async function exitMs(
  redis: RedisStorageOptions,
  near: boolean,
  meanwhile: () => unknown,
): Promise<number | string> {
  const plan = { dist: built.dist, redis, near, closeAfterMs: CLOSE_AFTER_MS };
  const child = fork(join(process.cwd(), 'test/redis/fleet/closer.mjs'), [JSON.stringify(plan)], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let errors = '';
  child.stderr!.on('data', (bytes: Buffer) => (errors += bytes.toString()));
  const gone = new Promise<number>((resolve) =>
    child.once('exit', () => resolve(performance.now())),
  );
  const doing = meanwhile();
  const closed = new Promise((resolve) => child.once('message', resolve));
  await Promise.race([closed, gone]);
  if (child.connected) await closed;
  const closedAt = performance.now();
  const goneAt = await Promise.race([gone, sleep(GIVEN_UP_MS).then(() => undefined)]);
  await doing;
  if (goneAt !== undefined) return goneAt - closedAt;
  child.kill('SIGKILL');
  return `still there: ${errors}`;
}

function undoLater(undo: () => unknown): void {
  after.push(undo);
}

describe.each([false, true])(
  'P17 a process ends when its caches are closed (with a near tier: %s)',
  (near) => {
    async function ends(
      redis: RedisStorageOptions,
      meanwhile: () => unknown = () => undefined,
    ): Promise<void> {
      const ms = await exitMs(redis, near, meanwhile);
      console.log(
        `${expect.getState().currentTestName}: ${typeof ms === 'number' ? ms.toFixed(0) : ms} ms`,
      );
      expect(ms).toEqual(expect.any(Number));
      expect(ms).toBeLessThan(EXIT_MS);
    }

    describe('a Cluster', () => {
      let cluster: ServerGroup;
      beforeAll(async () => {
        cluster = await startRedisCluster();
      }, 60_000);
      afterAll(() => cluster.stop());
      const options = (): RedisStorageOptions => ({
        cluster: { nodes: cluster.ports.map((port) => ({ host: '127.0.0.1', port })) },
      });

      test('that is well', () => ends(options()), 30_000);

      test('of which a master and a replica hang', async () => {
        const some = [cluster.servers[0]!, cluster.servers[4]!];
        for (const server of some) server.pause();
        undoLater(() => some.forEach((server) => server.resume()));
        await ends(options());
      }, 30_000);

      test('that hangs altogether, after a while', async () => {
        undoLater(() => cluster.servers.forEach((server) => server.resume()));
        await ends(options(), async () => {
          await sleep(500);
          cluster.servers.forEach((server) => server.pause());
        });
      }, 30_000);

      test('that fails over', async () => {
        const [master] = cluster.servers;
        await ends(options(), async () => {
          await sleep(400);
          await master!.kill();
        });
        await master!.restart();
      }, 30_000);

      test('that is not there', async () => {
        const nodes = [await freePort(), await freePort()].map((port) => ({
          host: '127.0.0.1',
          port,
        }));
        await ends({ cluster: { nodes } });
      }, 30_000);
    });

    // Without a near tier there are fewer connections, in the same states.

    if (near)
      describe('Sentinel', () => {
        let group: SentinelGroup;
        beforeAll(async () => {
          group = await startSentinel();
        }, 60_000);
        afterAll(() => group.stop());
        const options = (): RedisStorageOptions => ({
          sentinel: { sentinels: [...group.sentinels], name: group.name },
        });

        test('that is well', () => ends(options()), 30_000);

        test.each([
          'all servers hang',
          'the first sentinel hangs',
          'the sentinels hang',
          'the master hangs',
        ])(
          'while %s',
          async (which) => {
            const some =
              which === 'all servers hang'
                ? group.servers
                : which === 'the master hangs'
                  ? group.servers.slice(0, 1)
                  : which === 'the sentinels hang'
                    ? group.servers.slice(2)
                    : group.servers.slice(2, 3);
            for (const server of some) server.pause();
            undoLater(() => some.forEach((server) => server.resume()));
            await ends(options());
          },
          30_000,
        );

        test('that is not there', async () => {
          const sentinels = [{ host: '127.0.0.1', port: await freePort() }];
          await ends({ sentinel: { sentinels, name: group.name } });
        }, 30_000);
      });

    describe('one server', () => {
      test.each(['well', 'hanging', 'hanging after a while', 'dying', 'not there'])(
        'that is %s',
        async (how) => {
          const server = await startRedis();
          undoLater(() => server.stop());
          if (how === 'not there') await server.kill();
          if (how === 'hanging') server.pause();
          await ends({ url: `redis://127.0.0.1:${server.port}` }, async () => {
            await sleep(400);
            if (how === 'hanging after a while') server.pause();
            if (how === 'dying') await server.kill();
          });
        },
        30_000,
      );
    });
  },
);
