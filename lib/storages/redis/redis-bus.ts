import { Cluster, Redis } from 'ioredis';
import type { BusConnection, BusHandlers, CacheBus } from '../../core/bus.js';
import { systemClock } from '../../core/clock.js';
import { StorageUnavailableError } from '../../core/errors.js';
import { withDeadline } from '../../core/resilience/deadline.js';
import type { Client } from './connection.js';
import {
  resolveRedisOptions,
  type RedisStorageOptions,
  type ResolvedRedisOptions,
} from './redis-options.js';

/** Starts every channel, before the prefix of the storage. */
const CHANNEL = 'bus';
/** Between attempts to connect again, at most. */
const RETRY_MS_MAX = 1_000;

/**
 * Redis pub/sub as the bus of `tieredStorage`. Takes the options of `redisStorage`, whose own bus this is. Listens on a
 * connection of its own (a duplicate of a client that was handed in, which is not touched) and speaks on another.
 */
export function redisBus(options: RedisStorageOptions): CacheBus {
  const resolved = resolveRedisOptions(options);
  return { open: (channel, handlers) => new RedisBusConnection(resolved, channel, handlers) };
}

class RedisBusConnection implements BusConnection {
  readonly #channel: string;
  readonly #listener: Client;
  readonly #speaker: Client;
  #isClosed = false;

  constructor(
    readonly options: ResolvedRedisOptions,
    channel: string,
    readonly handlers: BusHandlers,
  ) {
    this.#channel = `${options.prefix}.${CHANNEL}.${channel}`;
    this.#listener = connect(options.source, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: null,
      autoResubscribe: false,
    });
    this.#speaker =
      options.source.client ??
      connect(options.source, { enableOfflineQueue: false, maxRetriesPerRequest: 0 });
    this.#listen();
    // A text that cannot be spoken is rejected by itself, and says nothing about listening.
    if (!options.source.client) this.#speaker.on('error', ignoreHere);
  }

  /** With a deadline of its own: a client may keep a command for ever. */
  async publish(text: string): Promise<void> {
    await withDeadline(
      systemClock,
      this.options.timeoutMs,
      'Redis: PUBLISH',
      this.#speaker.publish(this.#channel, text),
    );
  }

  reset(): void {
    if (!this.#isClosed) this.#listener.disconnect(true);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.disconnect();
    if (!this.options.source.client) this.#speaker.disconnect();
    await Promise.resolve();
  }

  #listen(): void {
    const listener = this.#listener;
    listener.on('message', (channel: string, text: string) => {
      if (channel === this.#channel) this.handlers.onMessage(text);
    });
    listener.on('ready', () => this.#subscribe());
    listener.on('close', () =>
      this.handlers.onDown(new StorageUnavailableError('Redis: the bus lost its connection.')),
    );
    listener.on('error', (error: unknown) => this.handlers.onDown(error));
    // Cluster: pub/sub runs on one node chosen by ioredis; when that goes, the subscription goes with it.
    if (listener instanceof Cluster) listener.on('-node', () => this.#subscribe());
  }

  #subscribe(): void {
    if (this.#isClosed) return;
    this.#listener.subscribe(this.#channel).then(
      () => this.handlers.onUp(),
      (error: unknown) => this.handlers.onDown(error),
    );
  }
}

function connect(source: RedisStorageOptions, own: object): Client {
  const retryStrategy = (attempt: number): number => Math.min(RETRY_MS_MAX, 50 * attempt);
  if (source.client) {
    return source.client instanceof Cluster
      ? source.client.duplicate([], {
          clusterRetryStrategy: retryStrategy,
          enableOfflineQueue: false,
        } as object)
      : (source.client as Redis).duplicate({ ...own, retryStrategy, lazyConnect: false });
  }
  if (source.cluster) {
    const { nodes, options = {} } = source.cluster;
    return new Cluster([...nodes], {
      ...options,
      clusterRetryStrategy: retryStrategy,
      enableOfflineQueue: false,
    } as object);
  }
  const given = { ...(source.options ?? source.sentinel), retryStrategy, ...own } as object;
  return source.url === undefined ? new Redis(given) : new Redis(source.url, given);
}

function ignoreHere(): void {}
