import { Cluster } from 'ioredis';
import type { BusHandlers } from '../../core/bus.js';
import { StorageUnavailableError } from '../../core/errors.js';
import { openForMessages, type OwnClient, type Source } from './clients.js';

/**
 * Listens to one channel, on a connection of its own: beside a client that was handed in it opens a duplicate. Connects
 * and subscribes again by itself whenever that is lost, and says so.
 */
export class Subscriber {
  readonly #own: OwnClient;
  #isClosed = false;

  constructor(
    source: Source,
    readonly channel: string,
    readonly handlers: BusHandlers,
  ) {
    this.#own = openForMessages(source, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: null,
      autoResubscribe: false,
    });
    this.#listen();
  }

  /** Listening looks fine but nothing arrives, or was refused: connects anew. */
  reset(): void {
    if (!this.#isClosed) this.#own.client.disconnect(true);
  }

  /** Idempotent. Nothing is told afterwards. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#own.cut();
  }

  #listen(): void {
    const { client } = this.#own;
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
    this.#own.client.subscribe(this.channel).then(
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
