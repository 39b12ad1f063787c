import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A TCP proxy between a client and a server, to misbehave on purpose. */
export interface Proxy {
  readonly port: number;
  /** Holds back the server's answers for so long. */
  delay(ms: number): void;
  /** Lets nothing through, in either direction, until `resume`. */
  pause(): void;
  resume(): void;
  /** Present connections stay open and say nothing any more; new ones work. */
  stall(): void;
  /** Ends all connections, without (`cut`) or with (`reset`) an RST. New ones are accepted. */
  cut(): void;
  reset(): void;
  /** Ends all connections and accepts no new ones; `false` accepts again. */
  refuse(refuses?: boolean): void;
  /** Passes on only half of the next answer and ends that connection. */
  halfReply(): void;
  /** Sends the clients what no server said, before its next answer. */
  inject(bytes: string): void;
  stop(): Promise<void>;
}

/** Listens on a free loopback port. */
export async function startProxy(targetPort: number): Promise<Proxy> {
  const proxy = new TcpProxy(targetPort);
  await proxy.listen();
  return proxy;
}

class TcpProxy implements Proxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  /** The latest of the answers that are held back, by connection. */
  readonly #tails = new WeakMap<Socket, Promise<void>>();
  #delayMs = 0;
  #refuses = false;
  #isPaused = false;
  #halves = false;

  constructor(readonly targetPort: number) {
    this.#server = createServer({ noDelay: true }, (client) => this.#accept(client));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  delay(ms: number): void {
    this.#delayMs = ms;
  }

  pause(): void {
    this.#isPaused = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  stall(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  reset(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  refuse(refuses = true): void {
    this.#refuses = refuses;
    if (refuses) this.reset();
  }

  halfReply(): void {
    this.#halves = true;
  }

  inject(bytes: string): void {
    for (const [client] of this.#pairs) client.write(bytes);
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    if (this.#refuses) {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ port: this.targetPort, host: '127.0.0.1', noDelay: true });
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    client.on('data', (bytes) => server.write(bytes));
    server.on('data', (bytes) => this.#answer(client, bytes));
    for (const socket of pair) {
      if (this.#isPaused) socket.pause();
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#pairs.delete(pair);
        for (const other of pair) other.destroy();
      });
    }
  }

  #answer(client: Socket, bytes: Buffer): void {
    if (this.#halves) {
      this.#halves = false;
      client.end(bytes.subarray(0, bytes.length >> 1));
      return;
    }
    const before = this.#tails.get(client);
    if (!before && this.#delayMs === 0) client.write(bytes);
    else this.#answerLater(client, bytes, before);
  }

  /** In their order, also when the delay has become shorter meanwhile. */
  #answerLater(client: Socket, bytes: Buffer, before: Promise<void> | undefined): void {
    const due = new Promise<void>((resolve) => setTimeout(resolve, this.#delayMs).unref());
    const tail = Promise.all([before, due]).then(() => {
      client.write(bytes);
      if (this.#tails.get(client) === tail) this.#tails.delete(client);
    });
    this.#tails.set(client, tail);
  }
}
