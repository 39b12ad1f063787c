import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A server process started by a test, and its folder. */
export interface ServerProcess {
  readonly port: number;
  readonly folder: string;
  readonly pid: number;
  /** SIGSTOP: it accepts connections and answers nothing. */
  pause(): void;
  resume(): void;
  /** kill -9. Resolves when the process has gone. */
  kill(): Promise<void>;
  /** The same port and folder again, after `kill`. */
  restart(): Promise<void>;
  /** Ends it and removes the folder. */
  stop(): Promise<void>;
}

/** In memory where there is such a place: a Cluster node that waits for a busy disk is a fault that no test asked for. */
const FOLDERS = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A port on the loopback interface that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Starts `program` in a temporary folder and waits until `isUp` says so. */
export async function startProcess(
  program: string,
  port: number,
  args: (folder: string) => readonly string[],
  isUp: (port: number) => Promise<boolean>,
): Promise<ServerProcess> {
  const folder = mkdtempSync(join(FOLDERS, 'nestjs-scoped-cache-server-'));
  const server = new Server(program, port, folder, args(folder), isUp);
  try {
    await server.restart();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

class Server implements ServerProcess {
  #child: ChildProcess | undefined;
  /** A test run that ends early takes its servers with it. */
  readonly #lastRites = (): void => {
    this.#child?.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  };

  constructor(
    readonly program: string,
    readonly port: number,
    readonly folder: string,
    readonly args: readonly string[],
    readonly isUp: (port: number) => Promise<boolean>,
  ) {
    process.once('exit', this.#lastRites);
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  pause(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  async restart(): Promise<void> {
    // The watcher survives neither: when this process dies without a word, the server's parent-death check ends it.
    this.#child = spawn(
      'sh',
      ['-c', WATCHED, this.program, String(process.pid), this.program, ...this.args],
      {
        stdio: 'ignore',
        cwd: this.folder,
      },
    );
    this.#child.unref();
    for (let tries = 0; tries < 400; tries++) {
      if (await this.isUp(this.port)) return;
      if (this.#child.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`${this.program} ${this.args.join(' ')} did not start.`);
  }

  async stop(): Promise<void> {
    await this.kill();
    process.off('exit', this.#lastRites);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** `$1`: the test's pid. A background shell ends the server when that process has gone; `exec` makes the server the child itself. */
const WATCHED = `parent=$1; shift; ( self=$$; while kill -0 "$parent" 2>/dev/null && kill -0 "$self" 2>/dev/null; do sleep 1; done; kill -9 "$self" ) >/dev/null 2>&1 & exec "$@"`;
