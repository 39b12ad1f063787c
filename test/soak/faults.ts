import { execFileSync } from 'node:child_process';
import {
  rmSync,
  truncateSync,
  copyFileSync,
  statSync,
  writeFileSync,
  openSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ServerProcess } from '../support/servers/process.js';
import type { Proxy } from '../support/servers/proxy.js';
import { cli, until, type SentinelGroup } from '../support/servers/redis.js';
import type { SoakWorker } from './fleet.js';

/** Something to do to a running fleet from outside. Resolves when it has been taken back. */
export interface Fault {
  readonly name: string;
  /** Values may be stale after it, as documented: only done when asked for by name. */
  readonly breaksPromises?: true;
  run(random: Random): Promise<void>;
}

/** At least 0, below 1. */
export type Random = () => number;

/** The same numbers for the same seed (mulberry32). */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

const between = (random: Random, low: number, high: number): number =>
  Math.round(low + random() * (high - low));
const pick = <T>(random: Random, list: readonly T[]): T =>
  list[Math.floor(random() * list.length)]!;
const fault = (name: string, run: (random: Random) => Promise<unknown>): Fault => ({
  name,
  run: async (random) => void (await run(random)),
});

/** The processes themselves stand still, or die and are replaced. `replace` starts a new one in its place. */
export function workerFaults(
  workers: readonly SoakWorker[],
  replace: (index: number) => Promise<void>,
): Fault[] {
  return [
    fault('SIGSTOP of a client', async (random) => {
      const worker = pick(random, workers);
      worker.pause();
      await sleep(between(random, 300, 4_000));
      worker.resume();
    }),
    fault('kill -9 of a client', async (random) => {
      const index = Math.floor(random() * workers.length);
      await workers[index]!.kill();
      await replace(index);
    }),
  ];
}

/** One server does not do its work. */
export function serverFaults(server: ServerProcess): Fault[] {
  const { port } = server;
  return [
    fault('SIGSTOP of the server', async (random) => {
      server.pause();
      await sleep(between(random, 200, 3_000));
      server.resume();
    }),
    fault('kill -9 of the server, empty after it', async (random) => {
      await server.kill();
      rmSync(join(server.folder, 'dump.rdb'), { force: true });
      await sleep(between(random, 0, 1_500));
      await server.restart();
    }),
    fault('CLIENT KILL TYPE normal', () =>
      cli(port, 'client', 'kill', 'type', 'normal', 'skipme', 'yes'),
    ),
    fault('CLIENT KILL TYPE pubsub', () => cli(port, 'client', 'kill', 'type', 'pubsub')),
    fault('CLIENT PAUSE', async (random) => {
      const ms = between(random, 100, 1_500);
      await cli(port, 'client', 'pause', String(ms), pick(random, ['ALL', 'WRITE']));
      await sleep(ms);
    }),
    fault('DEBUG SLEEP', (random) => cli(port, 'debug', 'sleep', String(0.2 + random() * 1.5))),
    fault('FLUSHALL', () => cli(port, 'flushall')),
    fault('SCRIPT FLUSH', () => cli(port, 'script', 'flush')),
    fault('noeviction', async (random) => {
      await cli(port, 'config', 'set', 'maxmemory-policy', 'noeviction');
      await cli(port, 'config', 'set', 'maxmemory', '1');
      await sleep(between(random, 300, 2_000));
      await cli(port, 'config', 'set', 'maxmemory', '0');
    }),
    fault('allkeys-lru', async (random) => {
      await cli(port, 'config', 'set', 'maxmemory-policy', 'allkeys-lru');
      const used = Number(/used_memory:(\d+)/.exec(await cli(port, 'info', 'memory'))![1]);
      await cli(port, 'config', 'set', 'maxmemory', String(used - 40_000));
      await sleep(between(random, 300, 2_000));
      await cli(port, 'config', 'set', 'maxmemory', '0');
    }),
    fault('DEL of random keys', async (random) => {
      for (let round = 0; round < 10; round++) {
        const keys = (await cli(port, '--scan', '--pattern', '*')).split('\n').filter(Boolean);
        const some = keys.filter(() => random() < 0.15);
        if (some.length > 0) await cli(port, 'del', ...some);
        await sleep(between(random, 20, 150));
      }
    }),
  ];
}

/** The server comes back with what it had some seconds before (decision 0050). */
export function oldDataFaults(server: ServerProcess): Fault[] {
  const dump = join(server.folder, 'dump.rdb');
  const restart = fault('restart with an old dump', async (random) => {
    await cli(server.port, 'save');
    copyFileSync(dump, `${dump}.old`);
    await sleep(between(random, 300, 1_500));
    await server.kill();
    copyFileSync(`${dump}.old`, dump);
    await server.restart();
    rmSync(dump);
  });
  return [{ ...restart, breaksPromises: true }];
}

/** The network of one process. */
export function networkFaults(proxies: readonly Proxy[]): Fault[] {
  return [
    fault('latency', async (random) => {
      const proxy = pick(random, proxies);
      proxy.delay(between(random, 30, 400));
      await sleep(between(random, 500, 2_500));
      proxy.delay(0);
    }),
    fault('reset', async (random) => {
      const proxy = pick(random, proxies);
      for (let round = 0; round < 3; round++) {
        proxy.reset();
        await sleep(between(random, 0, 300));
      }
    }),
    fault('half a reply', async (random) => {
      pick(random, proxies).halfReply();
      await sleep(300);
    }),
    fault('refused', async (random) => {
      const proxy = pick(random, proxies);
      proxy.refuse();
      await sleep(between(random, 300, 3_000));
      proxy.refuse(false);
    }),
    fault('black hole', async (random) => {
      const proxy = pick(random, proxies);
      proxy.pause();
      await sleep(between(random, 300, 3_000));
      proxy.resume();
    }),
  ];
}

/** A Cluster loses a master, or moves it. `ports`: of all its nodes. */
export function clusterFaults(servers: readonly ServerProcess[]): Fault[] {
  const masters = async (): Promise<ServerProcess[]> => {
    const roles = await Promise.all(servers.map(({ port }) => cli(port, 'role')));
    return servers.filter((_, index) => roles[index]!.startsWith('master'));
  };
  const everywhere = async (...command: string[]): Promise<void> => {
    for (const { port } of await masters()) await cli(port, ...command);
  };
  const whole = async (): Promise<void> => {
    for (let tries = 0; tries < 400; tries++) {
      const states = await Promise.all(
        servers.map(async ({ port }) =>
          [await cli(port, 'cluster', 'info'), await cli(port, 'info', 'replication')].join(),
        ),
      );
      if (
        states.every(
          (state) =>
            state.includes('cluster_state:ok') && !state.includes('master_link_status:down'),
        )
      )
        return;
      await sleep(50);
    }
    throw new Error('The Cluster did not become whole again.');
  };
  return [
    fault('SIGSTOP of a master', async (random) => {
      const server = pick(random, await masters());
      server.pause();
      await sleep(between(random, 200, 1_200));
      server.resume();
      await whole();
    }),
    fault('failover by kill -9', async (random) => {
      const server = pick(random, await masters());
      await server.kill();
      await sleep(between(random, 3_500, 5_000));
      await server.restart();
      await whole();
    }),
    fault('CLUSTER FAILOVER', async (random) => {
      const all = await masters();
      const replica = pick(
        random,
        servers.filter((server) => !all.includes(server)),
      );
      await cli(replica.port, 'cluster', 'failover');
      await sleep(500);
      await whole();
    }),
    fault('FLUSHALL', () => everywhere('flushall')),
    fault('SCRIPT FLUSH', () => everywhere('script', 'flush')),
    fault('CLIENT KILL TYPE normal', () =>
      everywhere('client', 'kill', 'type', 'normal', 'skipme', 'yes'),
    ),
  ];
}

/** The master dies or hangs, and the sentinels agree on another one. */
export function sentinelFaults({ servers, sentinels, name }: SentinelGroup): Fault[] {
  const master = async (): Promise<ServerProcess> => {
    const answer = await cli(sentinels[0]!.port, 'sentinel', 'get-master-addr-by-name', name);
    return servers.find(({ port }) => port === Number(answer.split('\n')[1]))!;
  };
  const inStep = async (): Promise<void> => {
    const { port } = await master();
    await until(
      async () => (await cli(port, 'info', 'replication')).includes('state=online'),
      'the replica is in step',
    );
  };
  /** All sentinels: one that has not heard yet would send clients to the old master when that is back, which still takes writes. */
  const another = async (before: ServerProcess): Promise<void> => {
    const isTold = async ({ port }: { readonly port: number }): Promise<boolean> => {
      const answer = await cli(port, 'sentinel', 'get-master-addr-by-name', name);
      return Number(answer.split('\n')[1]) !== before.port;
    };
    await until(
      async () => (await Promise.all(sentinels.map(isTold))).every(Boolean),
      'all sentinels know another master',
    );
  };
  return [
    fault('SIGSTOP of the master', async (random) => {
      const server = await master();
      server.pause();
      await sleep(between(random, 200, 700));
      server.resume();
    }),
    fault('SENTINEL FAILOVER', async () => {
      await inStep();
      const before = await master();
      await cli(sentinels[0]!.port, 'sentinel', 'failover', name);
      await another(before);
      await inStep();
    }),
    fault('failover by kill -9', async () => {
      await inStep();
      const server = await master();
      await server.kill();
      await another(server);
      await server.restart();
      await inStep();
    }),
    fault('failover by SIGSTOP', async () => {
      await inStep();
      const server = await master();
      server.pause();
      await another(server);
      server.resume();
      await inStep();
    }),
  ];
}

/** A folder is damaged. It should lie on a small file system of its own; `fill` is how much fits. */
export function folderFaults(directory: string, fill?: { readonly file: string }): Fault[] {
  const files = (): string[] => {
    try {
      return execFileSync('find', [directory, '-path', '*/entries/*', '-type', 'f'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      })
        .split('\n')
        .filter(Boolean);
    } catch {
      // Something went away while it was looked at, or the whole folder has gone.
      return [];
    }
  };
  const damage = (random: Random, how: (file: string) => void): void => {
    for (const file of files())
      if (random() < 0.2) {
        try {
          how(file);
        } catch (error) {
          // Replaced or removed meanwhile.
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        }
      }
  };
  const always = [
    fault('truncated files', async (random) =>
      damage(random, (file) =>
        truncateSync(file, Math.floor(random() * (statSync(file).size + 1))),
      ),
    ),
    fault('overwritten bytes', async (random) =>
      damage(random, (file) => {
        const fd = openSync(file, 'r+');
        writeSync(
          fd,
          Buffer.from([between(random, 0, 255)]),
          0,
          1,
          Math.floor(random() * statSync(file).size),
        );
        closeSync(fd);
      }),
    ),
    fault('removed files', async (random) => damage(random, (file) => rmSync(file))),
    // Who works in it makes folders again meanwhile.
    fault('deleted folder', async () => removeWhatIsThere(directory)),
  ];
  if (!fill) return always;
  return [
    ...always,
    fault('full disk', async (random) => {
      try {
        writeFileSync(fill.file, Buffer.alloc(1 << 28));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
      await sleep(between(random, 300, 2_000));
      rmSync(fill.file);
    }),
  ];
}

/** What others make in it at the same time may stay. */
function removeWhatIsThere(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 5 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
  }
}
