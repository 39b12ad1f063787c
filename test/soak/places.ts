import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startProxy } from '../support/servers/proxy.js';
import { startRedis, startRedisCluster, startSentinel } from '../support/servers/redis.js';
import {
  clusterFaults,
  folderFaults,
  networkFaults,
  oldDataFaults,
  sentinelFaults,
  serverFaults,
  type Fault,
} from './faults.js';
import type { WorkerPlan } from './fleet.js';

export type SoakStorage = WorkerPlan['storage'];

/** Where a fleet keeps its entries, and what can be done to that. */
export interface SoakPlace {
  readonly storage: SoakStorage;
  /** How the worker of that number reaches it. */
  reach(index: number): Partial<WorkerPlan>;
  readonly faults: readonly Fault[];
  stop(): Promise<void>;
}

export const WORKERS = 3;

/** Starts what the storage needs. */
export function prepare(storage: SoakStorage): Promise<SoakPlace> | SoakPlace {
  if (storage === 'file') return folder();
  if (storage === 'cluster') return cluster();
  return storage === 'sentinel' ? sentinel() : server(storage);
}

async function server(storage: 'redis' | 'tiered'): Promise<SoakPlace> {
  const redis = await startRedis(['--enable-debug-command', 'local']);
  const proxies = await Promise.all(Array.from({ length: WORKERS }, () => startProxy(redis.port)));
  return {
    storage,
    reach: (index) => ({ port: proxies[index]!.port, staleWhileAway: '2s' }),
    faults: [...serverFaults(redis), ...oldDataFaults(redis), ...networkFaults(proxies)],
    stop: async () => {
      await Promise.all(proxies.map((proxy) => proxy.stop()));
      await redis.stop();
    },
  };
}

async function cluster(): Promise<SoakPlace> {
  const group = await startRedisCluster();
  const nodes = group.ports.map((port) => ({ host: '127.0.0.1', port }));
  return {
    storage: 'cluster',
    reach: () => ({ nodes }),
    faults: clusterFaults(group.servers),
    stop: () => group.stop(),
  };
}

async function sentinel(): Promise<SoakPlace> {
  const group = await startSentinel();
  return {
    storage: 'sentinel',
    reach: () => ({ nodes: group.sentinels, master: group.name }),
    faults: sentinelFaults(group),
    stop: () => group.stop(),
  };
}

function folder(): SoakPlace {
  const root = mkdtempSync(join(tmpdir(), 'nestjs-scoped-cache-soak-'));
  const directory = join(root, 'disk', 'cache');
  const isSmall = mountSmallDisk(join(root, 'disk'));
  return {
    storage: 'file',
    reach: () => ({ directory }),
    faults: folderFaults(directory, isSmall ? { file: join(root, 'disk', 'filler') } : undefined),
    stop: async () => {
      if (isSmall) execFileSync('umount', [join(root, 'disk')]);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** A file system that can be filled; only root may make one. */
function mountSmallDisk(at: string): boolean {
  mkdirSync(at, { recursive: true, mode: 0o700 });
  if (process.getuid?.() !== 0 || !existsSync('/bin/mount')) return false;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m,mode=0700', 'tmpfs', at], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    // Not allowed here: then there is no full disk among the faults.
    return false;
  }
}
