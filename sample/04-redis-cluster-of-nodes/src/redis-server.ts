import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, connect, type AddressInfo } from 'node:net';

/** A Redis of this sample's own, on a free port of this machine, with nothing on disk. */
export class RedisServer {
  #child: ChildProcess | undefined;

  private constructor(readonly port: number) {}

  /** @throws Error that says what to install when there is no `redis-server` */
  static async start(): Promise<RedisServer> {
    const server = new RedisServer(await freePort());
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const args = ['--port', `${this.port}`, '--bind', '127.0.0.1', '--save', ''];
    const child = spawn('redis-server', args, { stdio: 'ignore' });
    this.#child = child;
    let failure: unknown;
    child.once('error', (error) => (failure = error));
    for (let tries = 0; tries < 200; tries++) {
      if (await answers(this.port)) return;
      if (failure)
        throw new Error('There is no redis-server. Type: sudo apt-get install redis-server', {
          cause: failure,
        });
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error('redis-server did not start.');
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
