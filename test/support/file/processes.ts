import { spawn, type ChildProcess } from 'node:child_process';
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
  let giveUp: (error: Error) => void = () => undefined;
  const said = new Promise<unknown>((done, fail) => {
    hear = done;
    giveUp = fail;
  });
  // Most callers only wait for its end.
  said.catch(() => undefined);
  child.stdout!.on('data', (data: Buffer) => {
    stdout += data.toString();
    if (stdout.includes('\n')) hear(JSON.parse(stdout.slice(0, stdout.indexOf('\n'))));
  });
  child.stderr!.on('data', (data: Buffer) => (stderr += data.toString()));
  const ended = new Promise<Ended>((done, fail) => {
    child.on('error', fail);
    child.on('close', (code, signal) => {
      giveUp(
        new Error(`The worker ended with ${code ?? signal} before it said anything: ${stderr}`),
      );
      done({ code, signal, lines: parse(stdout), stderr });
    });
  });
  return { child, ended, said };
}

function parse(stdout: string): unknown[] {
  const lines = stdout.split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as unknown);
}

const ALLOWED =
  'If it may not attach to processes, type: sudo sysctl -w kernel.yama.ptrace_scope=0';

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
    let said = '';
    tracer.on('close', (code) => fail(new Error(`strace ended with ${code}: ${said}${ALLOWED}`)));
    tracer.stderr.on('data', (data: Buffer) => {
      said += data.toString();
      if (said.includes('attached')) done();
    });
  });
  tracer.removeAllListeners('close');
  const detached = new Promise((done) => tracer.on('close', done));
  child.stdin!.write('go');
  const { signal } = await ended;
  await detached;
  return signal === 'SIGKILL';
}
