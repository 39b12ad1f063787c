import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { History, SoakRecord } from './history.js';

/** What a worker is started with; see worker.mjs. */
export interface WorkerPlan {
  readonly dist: string;
  readonly name: string;
  readonly seed: number;
  readonly storage: 'redis' | 'tiered' | 'cluster' | 'sentinel' | 'file';
  readonly onStorageError: 'throw' | 'degrade';
  readonly callers: number;
  /** Between two calls of one caller, on average. */
  readonly pauseMs: number;
  /** How long nothing is done before handles and memory are counted. */
  readonly idleMs: number;
  readonly staleWhileAway?: string;
  readonly port?: number;
  readonly nodes?: readonly { readonly host: string; readonly port: number }[];
  /** The name by which sentinels know the master. */
  readonly master?: string;
  readonly directory?: string;
}

/** What a worker says of itself when it has been idle. */
export interface IdleReport {
  readonly resources: Readonly<Record<string, number>>;
  /** Bytes in use, after a collection. */
  readonly heapAtStart: number;
  readonly heap: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly stats: {
    readonly totalKeys: number;
    readonly storage: Readonly<Record<string, number>>;
  };
}

interface Message {
  readonly ready?: true;
  readonly records?: readonly SoakRecord[];
  readonly unhandled?: string;
  readonly idle?: IdleReport;
  readonly closed?: number;
}

/** The machine's monotonic clock, in ms, as the workers read it. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/** One process of the fleet. */
export class SoakWorker {
  readonly unhandled: string[] = [];
  idle: IdleReport | undefined;
  closeMs: number | undefined;
  #isPaused = false;

  private constructor(
    readonly name: string,
    readonly child: ChildProcess,
  ) {}

  static async start(plan: WorkerPlan, history: History): Promise<SoakWorker> {
    const child = fork(join(process.cwd(), 'test/soak/worker.mjs'), [JSON.stringify(plan)], {
      execArgv: ['--expose-gc'],
    });
    const worker = new SoakWorker(plan.name, child);
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code, signal) =>
        reject(new Error(`The worker ended with ${code ?? signal}.`)),
      );
      child.on('message', (message: Message) => {
        if (message.ready) resolve();
        worker.#take(message, history);
      });
    });
    return worker;
  }

  /** SIGSTOP, for a time in which leases may expire. */
  pause(): void {
    this.#isPaused = true;
    this.child.kill('SIGSTOP');
  }

  resume(): void {
    this.#isPaused = false;
    this.child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await gone;
  }

  /** Lets it finish, close, and end by itself. Resolves to how long that took after `close`, or rejects after 15 s. */
  async finish(): Promise<number> {
    if (this.#isPaused) this.resume();
    const gone = new Promise<void>((resolve) => this.child.once('exit', () => resolve()));
    this.child.send('finish');
    let closedAt = 0;
    this.child.on('message', (message: Message) => {
      if (message.closed !== undefined) closedAt = now();
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${this.name} did not end by itself.`)), 30_000);
    });
    await Promise.race([gone, late]).finally(() => clearTimeout(timer));
    return now() - closedAt;
  }

  #take(message: Message, history: History): void {
    if (message.records)
      for (const record of message.records) history.records.push({ ...record, node: this.name });
    if (message.unhandled) this.unhandled.push(message.unhandled);
    if (message.idle) this.idle = message.idle;
    if (message.closed !== undefined) this.closeMs = message.closed;
  }
}
