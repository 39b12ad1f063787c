import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '../programs.js';
import { freePort, startProcess, type ServerProcess } from './process.js';

const run = promisify(execFile);

/** Text of a command's answer. */
export async function cli(port: number, ...command: string[]): Promise<string> {
  const { stdout } = await run('redis-cli', ['-p', String(port), ...command], { timeout: 20_000 });
  return stdout.trim();
}

/** One `redis-server` on a free loopback port, with nothing on disk. `program`: another release, by its path. */
export async function startRedis(
  args: readonly string[] = [],
  onPort?: number,
  program = findProgram('redis-server'),
): Promise<ServerProcess> {
  const port = onPort ?? (await freePort());
  return startProcess(program, port, (folder) => [...basics(port, folder), ...args], isUp);
}

/** Several servers that belong together. */
export interface ServerGroup {
  readonly servers: readonly ServerProcess[];
  readonly ports: readonly number[];
  stop(): Promise<void>;
}

/** Long enough for no server of a busy machine to be taken for dead. */
const NEVER_DOWN_MS = 20_000;

/**
 * Three masters and three replicas (or none), in step. A dead master is replaced after about 3 s, unless `steady`: then
 * nothing is replaced, however busy the machine is.
 */
export async function startRedisCluster(
  replicas: 0 | 1 = 1,
  steady = replicas === 0,
): Promise<ServerGroup> {
  const args = [
    '--cluster-enabled',
    'yes',
    '--cluster-config-file',
    'nodes.conf',
    '--cluster-node-timeout',
    String(steady ? NEVER_DOWN_MS : 1_500),
  ];
  const group = await startGroup(replicas === 0 ? 3 : 6, [
    ...args,
    '--repl-diskless-sync-delay',
    '0',
  ]);
  try {
    const nodes = group.ports.map((port) => `127.0.0.1:${port}`);
    await run(
      'redis-cli',
      ['--cluster', 'create', ...nodes, '--cluster-replicas', String(replicas), '--cluster-yes'],
      { timeout: 30_000 },
    );
    await Promise.all(
      group.ports.map((port) => until(() => knowsAllSlots(port), `${port} knows who serves what`)),
    );
    if (replicas === 0) return group;
    // Without data a replica never stands for election, and the Cluster would stay down.
    await Promise.all(
      group.ports.map((port) => until(() => isInStep(port), `the node on ${port} is in step`)),
    );
  } catch (error) {
    await group.stop();
    throw error;
  }
  return group;
}

/** A master, a replica and three sentinels (quorum 2, down after 1 s). */
export interface SentinelGroup extends ServerGroup {
  readonly name: string;
  readonly sentinels: readonly { readonly host: string; readonly port: number }[];
}

/** Started and agreed on who is master. `steady`: it stays so, however busy the machine is. */
export async function startSentinel(steady = false): Promise<SentinelGroup> {
  const master = await startRedis(['--repl-diskless-sync-delay', '0']);
  const replica = await startRedis(['--replicaof', '127.0.0.1', String(master.port)]);
  const servers = [master, replica];
  const stop = async (): Promise<void> =>
    void (await Promise.all(servers.map((server) => server.stop())));
  try {
    await until(() => isInStep(replica.port), 'the replica is in step');
    for (let count = 0; count < 3; count++)
      servers.push(await startOneSentinel(master.port, steady ? NEVER_DOWN_MS : 1_000));
    const ports = servers.slice(2).map(({ port }) => port);
    await Promise.all(
      ports.map((port) => until(() => knowsAll(port), 'the sentinels know each other')),
    );
    return {
      servers,
      ports: [master.port, replica.port],
      name: NAME,
      sentinels: ports.map((port) => ({ host: '127.0.0.1', port })),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits up to 20 s for something to become true. */
export async function until(check: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const end = Date.now() + 20_000;
  while (Date.now() < end) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`Waited in vain until ${what}.`);
}

const NAME = 'main';

function basics(port: number, folder: string): string[] {
  return [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--save',
    '',
    '--appendonly',
    'no',
  ];
}

async function startGroup(size: number, args: readonly string[]): Promise<ServerGroup> {
  const servers: ServerProcess[] = [];
  const stop = async (): Promise<void> =>
    void (await Promise.all(servers.map((server) => server.stop())));
  try {
    for (let count = 0; count < size; count++) servers.push(await startRedis(args));
  } catch (error) {
    await stop();
    throw error;
  }
  return { servers, ports: servers.map(({ port }) => port), stop };
}

async function startOneSentinel(masterPort: number, downAfterMs: number): Promise<ServerProcess> {
  const port = await freePort();
  const config = (folder: string): string[] => {
    const file = join(folder, 'sentinel.conf');
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} 2`,
      `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
      `sentinel failover-timeout ${NAME} 3000`,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    return [file];
  };
  return startProcess(findProgram('redis-sentinel'), port, config, isUp);
}

async function isUp(port: number): Promise<boolean> {
  return /^(PONG|NOAUTH)/.test((await tryCli(port, 'ping')) ?? '');
}

async function isInStep(port: number): Promise<boolean> {
  const info = (await tryCli(port, 'info', 'replication')) ?? '';
  return info.includes('role:master')
    ? info.includes('connected_slaves:1')
    : info.includes('master_link_status:up');
}

async function knowsAllSlots(port: number): Promise<boolean> {
  const info = (await tryCli(port, 'cluster', 'info')) ?? '';
  return info.includes('cluster_state:ok') && info.includes('cluster_slots_ok:16384');
}

async function knowsAll(port: number): Promise<boolean> {
  const info = (await tryCli(port, 'info', 'sentinel')) ?? '';
  return info.includes('slaves=1') && info.includes('sentinels=3');
}

async function tryCli(port: number, ...command: string[]): Promise<string | undefined> {
  try {
    return await cli(port, ...command);
  } catch {
    // Not up yet: the caller asks again.
    return undefined;
  }
}
