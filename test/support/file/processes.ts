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
export function runWorker(lib: string, args: readonly string[], wrapper: readonly string[] = []): Promise<Ended> {
  const { child, ended } = startWorker(lib, args, wrapper);
  child.stdin?.end();
  return ended;
}

export function startWorker(lib: string, args: readonly string[], wrapper: readonly string[] = []): { child: ChildProcess; ended: Promise<Ended>; said: Promise<unknown> } {
  const [program, ...rest] = [...wrapper, process.execPath, WORKER, lib, ...args];
  const child = spawn(program!, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
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
  spawnSync('apt-get', ['install', '-y', '--no-install-recommends', debianPackage], { stdio: 'ignore' });
  if (!works(program)) throw new Error(`These tests need ${program}: apt-get update && apt-get install -y ${debianPackage}`);
}

function works(program: string): boolean {
  return spawnSync(program, ['-V'], { stdio: 'ignore' }).error === undefined;
}

export const isRoot = process.getuid?.() === 0;
