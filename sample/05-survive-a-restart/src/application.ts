import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Kind } from './app.module.js';
import type { Report } from './reports.controller.js';

/** What a visitor sees: the report, and whether it came from the cache, with the seconds left. */
export interface Answer extends Report {
  readonly isHit: boolean;
  readonly ttl: number;
}

/** The application in a process of its own, that can be ended in two ways. */
export class Application {
  private constructor(
    readonly child: ChildProcess,
    readonly url: string,
  ) {}

  static start(folder: string, kind: Kind): Promise<Application> {
    const child = fork(fileURLToPath(new URL('./node.js', import.meta.url)), [folder, kind]);
    return new Promise((resolve, reject) => {
      child.once('message', (message) =>
        resolve(new Application(child, (message as { url: string }).url)),
      );
      child.once('exit', (code) => reject(new Error(`The application ended with ${code}.`)));
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  async report(name: string): Promise<Answer> {
    const response = await fetch(`${this.url}/reports/${name}`);
    const status = response.headers.get('cache-status') ?? '';
    return {
      ...((await response.json()) as Report),
      isHit: status.includes('; hit'),
      ttl: Number(/ttl=(\d+)/.exec(status)?.[1]),
    };
  }

  /** Resolves when the process has gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill(signal);
    await gone;
  }
}
