import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = process.cwd();

/** The package, built into a folder of its own, so that real processes run what users would run. */
export function buildPackage(): { readonly dist: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-scoped-cache-fleet-'));
  const dist = join(folder, 'dist');
  execFileSync(
    process.execPath,
    [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', dist],
    { cwd: ROOT, stdio: 'pipe' },
  );
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'dir');
  return { dist, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

interface Answer {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: string;
  readonly loading?: string;
  readonly ready?: true;
}

/** A child process that runs one cache. */
export class Worker {
  #next = 0;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #onLoad = new Set<() => void>();

  private constructor(readonly child: ChildProcess) {}

  static async start(dist: string, port: number, tiers: 'tiered' | 'redis'): Promise<Worker> {
    const child = fork(join(ROOT, 'test/redis/fleet/worker.mjs'), [dist, String(port), tiers], {
      execArgv: [],
    });
    const worker = new Worker(child);
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`The worker ended with ${code}.`)));
      child.on('message', (message) => {
        const answer = message as Answer;
        if (answer.ready) resolve();
        if (answer.loading !== undefined) for (const tell of worker.#onLoad) tell();
        if (answer.id !== undefined) worker.#waiting.get(answer.id)?.(answer);
      });
    });
    return worker;
  }

  /** Resolves to what the worker answers. Never, when it dies before that. */
  ask<T = unknown>(task: string, input: Record<string, unknown> = {}): Promise<T> {
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        this.#waiting.delete(id);
        if (error === undefined) resolve(result as T);
        else reject(new Error(error));
      });
      this.child.send({ id, task, ...input });
    });
  }

  /** Resolves when a loader of this worker has begun. */
  nextLoad(): Promise<void> {
    return new Promise((resolve) => {
      const tell = (): void => {
        this.#onLoad.delete(tell);
        resolve();
      };
      this.#onLoad.add(tell);
    });
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await gone;
  }
}
