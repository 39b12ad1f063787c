import { Redis } from 'ioredis';
import { cutStream, openForCommands, type OwnClient } from './clients.js';
import { ClusterNodes } from './cluster-nodes.js';
import { faultOf, messageOf } from './faults.js';
import { LeaseEnds } from './lease-ends.js';
import type { Client, ResolvedRedisOptions } from './redis-options.js';
import { bucketTags, slotOf } from './slots.js';

/** Told of trouble with a connection that we opened. */
export type ConnectionListener = (error: unknown) => void;

/** A connection that answers the handshake no sooner than this is opened anew. */
const HANDSHAKE_MS = 2000;

/** One client for all caches of one `redisStorage`, with what keeps it honest: quick reconnects and no late writes. */
export class Connection {
  readonly isOwned: boolean;
  readonly isCluster: boolean;
  readonly leaseEnds: LeaseEnds;
  /** Of a Cluster. */
  readonly #nodes: ClusterNodes | undefined;
  readonly #listeners = new Set<ConnectionListener>();
  /** Time-outs in a row, by server; empty while all answer. */
  readonly #timeouts = new Map<string, number>();
  #waiting: (() => void)[] = [];
  #isStarting = true;
  /** Why the latest attempt to connect failed; of a client that was handed in, its owner hears. */
  #trouble: unknown;
  /** By bucket. */
  #slots: readonly number[] | undefined;
  #generation = 0;

  /** @param own unless the client was handed in */
  private constructor(
    readonly client: Client,
    readonly options: ResolvedRedisOptions,
    readonly own: OwnClient | undefined,
  ) {
    this.isOwned = own !== undefined;
    this.isCluster = client.isCluster;
    this.leaseEnds = new LeaseEnds(options, client.options.keyPrefix ?? '', this.#tell);
    if (!(client instanceof Redis)) this.#nodes = new ClusterNodes(client, options.timeoutMs);
    client.on('ready', this.#settle).on('ready', this.#renew).on('close', this.#settle);
    if (this.isOwned) this.#watch();
  }

  static open(options: ResolvedRedisOptions): Connection {
    const { source, timeoutMs } = options;
    if (source.client) return new Connection(source.client, options, undefined);
    const own = openForCommands(source, timeoutMs);
    return new Connection(own.client, options, own);
  }

  /** Whether a command sent now can be expected to go out. A lazy client connects with its first command. */
  get isUsable(): boolean {
    const { status } = this.client;
    return status === 'ready' || status === 'wait';
  }

  /** How often it has been ready: who answers may be another server each time. */
  get generation(): number {
    return this.#generation;
  }

  /** `host:port` of the server that the bucket's slot is on, as far as the client knows; `''` where there is only one. */
  serverOf(bucket: number): string {
    if (this.client instanceof Redis) return '';
    this.#slots ??= bucketTags().map(slotOf);
    const [master = ''] = this.client.slots[this.#slots[bucket]!] ?? [];
    return master;
  }

  /** Resolves once the first attempt to connect has ended, either way. */
  started(): Promise<void> {
    if (!this.#isStarting || this.isUsable) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves when the bucket's server can be asked, or not; `undefined` where there is nothing to wait for. */
  reached(bucket: number): Promise<void> | undefined {
    return this.#nodes?.attempt(this.serverOf(bucket));
  }

  /** As {@link reached}, for whatever server a Cluster has pointed to. */
  reachedAny(): Promise<void> | undefined {
    return this.#nodes?.anyAttempt();
  }

  /** For a command that cannot be sent: the client's state, and the error that led to it where that is known. */
  notConnected(): Error {
    const { status } = this.client;
    const text = this.#trouble === undefined ? '' : `: ${messageOf(this.#trouble)}`;
    return new Error(`not connected (the client is ${status})${text}`);
  }

  listen(listener: ConnectionListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  noteSuccess(bucket: number): void {
    if (this.#timeouts.size > 0) this.#timeouts.delete(this.serverOf(bucket));
  }

  /** After lost bytes a client may wait for ever on a connection that looks healthy: several time-outs in a row end it. */
  noteTimeout(bucket: number): void {
    this.leaseEnds.doubt();
    const master = this.serverOf(bucket);
    // One that is being connected to has its own limit. Cut at every third time-out, a slow one would never be reached.
    if (this.#nodes?.attempt(master)) return;
    const count = (this.#timeouts.get(master) ?? 0) + 1;
    this.#timeouts.set(master, count);
    if (!this.isOwned || count < this.options.reconnectAfterTimeouts) return;
    this.#timeouts.delete(master);
    const server = this.#serverAt(master);
    if (server) cutStream(server);
  }

  /** Closes what was opened here; leaves a client alone that was handed in. */
  async close(): Promise<void> {
    const { client } = this;
    client.off('ready', this.#settle).off('ready', this.#renew).off('close', this.#settle);
    this.#settle();
    this.leaseEnds.close();
    this.#nodes?.close();
    if (!this.own) return;
    const gone = new Promise<void>((resolve) => client.once('end', () => resolve()));
    let timer: ReturnType<typeof setTimeout> | undefined;
    // Not unref'd: a process that waits for this must not end before it has.
    const enough = new Promise<void>(
      (resolve) => (timer = setTimeout(resolve, this.options.timeoutMs)),
    );
    // QUIT lets commands under way finish; a server that does not answer is left without a word.
    client.quit().catch(() => client.disconnect());
    await Promise.race([gone, enough]);
    clearTimeout(timer);
    this.own.cut();
  }

  /** Without the command, which may be the one that carried the password. */
  readonly #tell = (error: unknown): void => {
    for (const listener of this.#listeners) listener(faultOf(error));
  };

  readonly #settle = (): void => {
    this.#isStarting = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  };

  readonly #renew = (): void => void this.#generation++;

  #watch(): void {
    const { client } = this;
    client.on('ready', () => (this.#trouble = undefined));
    client.on('error', (error: unknown) => {
      this.#trouble = error;
      this.#settle();
      this.#tell(error);
    });
    if (client instanceof Redis) guard(client);
    else client.on('+node', (node: Redis) => guard(node));
  }

  #serverAt(master: string): Redis | undefined {
    if (this.client instanceof Redis) return this.client;
    return this.client
      .nodes('all')
      .find(({ options }) => `${options.host}:${options.port}` === master);
  }
}

/**
 * On every new connection, before anything else: the server drops the previous one, and with it commands that it has
 * not read yet. Otherwise a write that was given up could still run after a later delete. Also gives a handshake an end.
 */
function guard(server: Redis): void {
  let previous: { readonly run: unknown; readonly id: number } | undefined;
  server.on('connect', () => {
    setTimeout(() => {
      if (server.status === 'connect') cutStream(server);
    }, HANDSHAKE_MS).unref();
  });
  server.on('ready', () => {
    const run: unknown = (server as unknown as { serverInfo?: { run_id?: unknown } }).serverInfo
      ?.run_id;
    // Ids are the server's own: on another server, the same number is somebody else.
    if (previous && run !== undefined && previous.run === run)
      server.client('KILL', 'ID', previous.id).catch(ignoreHere);
    server.client('ID').then((id) => (previous = { run, id }), ignoreHere);
  });
}

/** An ACL may forbid CLIENT; docs/redis.md says what that costs. */
function ignoreHere(): void {}
