import type { BusConnection, BusHandlers, CacheBus } from '../../core/bus.js';
import { systemClock } from '../../core/clock.js';
import { withDeadline } from '../../core/resilience/deadline.js';
import { openForMessages, type OwnClient } from './clients.js';
import {
  resolveRedisOptions,
  type Client,
  type RedisStorageOptions,
  type ResolvedRedisOptions,
} from './redis-options.js';
import { Subscriber } from './subscriber.js';

/** Starts every channel, before the prefix of the storage. */
const CHANNEL = 'bus';

/**
 * Redis pub/sub as the bus of `tieredStorage`. Takes the options of `redisStorage`, whose own bus this is. Listens on a
 * connection of its own (a duplicate of a client that was handed in, which is not touched) and speaks on another.
 */
export function redisBus(options: RedisStorageOptions): CacheBus {
  const resolved = resolveRedisOptions(options);
  return { open: (channel, handlers) => new RedisBusConnection(resolved, channel, handlers) };
}

class RedisBusConnection implements BusConnection {
  readonly #listener: Subscriber;
  readonly #speaker: Client;
  /** Unless the client that speaks was handed in. */
  readonly #own: OwnClient | undefined;
  #isClosed = false;

  constructor(
    readonly options: ResolvedRedisOptions,
    channel: string,
    handlers: BusHandlers,
  ) {
    const { source, prefix } = options;
    this.#listener = new Subscriber(source, `${prefix}.${CHANNEL}.${channel}`, handlers);
    const once = { enableOfflineQueue: false, maxRetriesPerRequest: 0 };
    this.#own = source.client ? undefined : openForMessages(source, once);
    this.#speaker = source.client ?? this.#own!.client;
    // A text that cannot be spoken is rejected by itself, and says nothing about listening.
    this.#own?.client.on('error', ignoreHere);
  }

  /** With a deadline of its own: a client may keep a command for ever. */
  async publish(text: string): Promise<void> {
    await withDeadline(
      systemClock,
      this.options.timeoutMs,
      'Redis: PUBLISH',
      this.#speaker.publish(this.#listener.channel, text),
    );
  }

  reset(): void {
    this.#listener.reset();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.close();
    this.#own?.cut();
    await Promise.resolve();
  }
}

function ignoreHere(): void {}
