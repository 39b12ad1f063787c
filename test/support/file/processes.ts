import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { resolve } from 'node:path';

const WORKER = resolve('test/support/file/worker.mjs');

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it said, a JSON value for each line. */
  readonly lines: readonly unknown[];
  readonly stderr: string;
}

/** Runs a worker to its end, behind `wrapper` (strace, setpriv, …) where there is one. */
export function runWorker(
  lib: string,
  args: readonly string[],
  wrapper: readonly string[] = [],
): Promise<Ended> {
  return startWorker(lib, args, wrapper).ended;
}

export function startWorker(
  lib: string,
  args: readonly string[],
  wrapper: readonly string[] = [],
  env: Record<string, string> = {},
): { child: ChildProcess; ended: Promise<Ended>; said: Promise<unknown> } {
  const [program, ...rest] = [...wrapper, process.execPath, WORKER, lib, ...args];
  const child = spawn(program!, rest, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let stdout = '';
  let stderr = '';
  let hear: (line: unknown) => void = () => undefined;
  const said = new Promise<unknown>((done) => (hear = done));
  child.stdout!.on('data', (data: Buffer) => {
    stdout += data.toString();
    if (stdout.includes('\n')) hear(JSON.parse(stdout.slice(0, stdout.indexOf('\n'))));
  });
  child.stderr!.on('data', (data: Buffer) => (stderr += data.toString()));
  const ended = new Promise<Ended>((done, fail) => {
    child.on('error', fail);
    child.on('close', (code, signal) => done({ code, signal, lines: parse(stdout), stderr }));
  });
  return { child, ended, said };
}

function parse(stdout: string): unknown[] {
  const lines = stdout.split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as unknown);
}

/** Installs what the machine lacks where that is allowed; else says the one line to type. */
export function need(program: string, debianPackage: string): void {
  if (works(program)) return;
  spawnSync('apt-get', ['install', '-y', '--no-install-recommends', debianPackage], {
    stdio: 'ignore',
  });
  if (!works(program))
    throw new Error(
      `These tests need ${program}: apt-get update && apt-get install -y ${debianPackage}`,
    );
}

function works(program: string): boolean {
  return spawnSync(program, ['-V'], { stdio: 'ignore' }).error === undefined;
}

export const isRoot = process.getuid?.() === 0;

/** The calls by which files change, and those around them. */
const CALLS =
  'openat,close,write,pwrite64,link,linkat,rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync,fchmod,chmod,mkdir,rmdir,utimensat';

/**
 * Starts a worker, attaches strace when it says that it is ready, and has it killed at the `n`th of the calls above that a
 * thread of it makes. Resolves to whether it was killed; when not, it had fewer calls to make.
 */
export async function killAtCall(
  lib: string,
  args: readonly string[],
  n: number,
): Promise<boolean> {
  const { child, said, ended } = startWorker(lib, args, [], { WAIT: '1', UV_THREADPOOL_SIZE: '1' });
  await said;
  const options = [
    '-f',
    '-o',
    '/dev/null',
    '-e',
    `trace=${CALLS}`,
    '-e',
    `inject=${CALLS}:signal=KILL:when=${n}`,
    '-p',
    String(child.pid),
  ];
  const tracer = spawn('strace', options, { stdio: ['ignore', 'ignore', 'pipe'] });
  await new Promise<void>((done, fail) => {
    tracer.on('error', fail);
    tracer.on('close', (code) => fail(new Error(`strace ended with ${code}`)));
    tracer.stderr.on('data', (data: Buffer) =>
      data.toString().includes('attached') ? done() : undefined,
    );
  });
  tracer.removeAllListeners('close');
  const detached = new Promise((done) => tracer.on('close', done));
  child.stdin!.write('go');
  const { signal } = await ended;
  await detached;
  return signal === 'SIGKILL';
}
