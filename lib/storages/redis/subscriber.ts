import { Cluster, Redis } from 'ioredis';
import type { BusHandlers } from '../../core/bus.js';
import { StorageUnavailableError } from '../../core/errors.js';
import type { Client, RedisStorageOptions } from './redis-options.js';

/** Between attempts to connect again, at most. */
const RETRY_MS_MAX = 1_000;

/**
 * Listens to one channel, on a connection of its own: beside a client that was handed in it opens a duplicate. Connects
 * and subscribes again by itself whenever that is lost, and says so.
 */
export class Subscriber {
  readonly #client: Client;
  #isClosed = false;

  constructor(
    source: RedisStorageOptions,
    readonly channel: string,
    readonly handlers: BusHandlers,
  ) {
    this.#client = connectBeside(source, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: null,
      autoResubscribe: false,
    });
    this.#listen();
  }

  /** Listening looks fine but nothing arrives, or was refused: connects anew. */
  reset(): void {
    if (!this.#isClosed) this.#client.disconnect(true);
  }

  /** Idempotent. Nothing is told afterwards. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#client.disconnect();
  }

  #listen(): void {
    const client = this.#client;
    client.on('message', (channel: string, text: string) => {
      if (channel === this.channel && !this.#isClosed) this.handlers.onMessage(text);
    });
    client.on('ready', () => this.#subscribe());
    client.on('close', () =>
      this.#down(new StorageUnavailableError('Redis: a listening connection was lost.')),
    );
    client.on('error', (error: unknown) => this.#down(error));
    // Cluster: pub/sub runs on one node chosen by ioredis; when that goes, the subscription goes with it.
    if (client instanceof Cluster) client.on('-node', () => this.#subscribe());
  }

  #subscribe(): void {
    if (this.#isClosed) return;
    this.#client.subscribe(this.channel).then(
      () => {
        if (!this.#isClosed) this.handlers.onUp();
      },
      (error: unknown) => this.#down(error),
    );
  }

  #down(reason: unknown): void {
    if (!this.#isClosed) this.handlers.onDown(reason);
  }
}

/** Another connection to where the storage's own one leads. */
export function connectBeside(source: RedisStorageOptions, own: object): Client {
  const retryStrategy = (attempt: number): number => Math.min(RETRY_MS_MAX, 50 * attempt);
  if (source.client) {
    return source.client instanceof Cluster
      ? source.client.duplicate([], {
          clusterRetryStrategy: retryStrategy,
          enableOfflineQueue: false,
          lazyConnect: false,
        } as object)
      : (source.client as Redis).duplicate({ ...own, retryStrategy, lazyConnect: false });
  }
  if (source.cluster) {
    const { nodes, options = {} } = source.cluster;
    return new Cluster([...nodes], {
      ...options,
      clusterRetryStrategy: retryStrategy,
      enableOfflineQueue: false,
      lazyConnect: false,
    } as object);
  }
  const given = { ...(source.options ?? source.sentinel), retryStrategy, ...own } as object;
  return source.url === undefined ? new Redis(given) : new Redis(source.url, given);
}
