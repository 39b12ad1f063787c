import { Cluster, Redis } from 'ioredis';
import { systemClock } from '../../core/clock.js';
import type { Client, RedisStorageOptions } from './redis-options.js';

/** Where the server is. */
export type Source = Pick<
  RedisStorageOptions,
  'url' | 'options' | 'client' | 'cluster' | 'sentinel'
>;

/** A client that was opened here, so that it is closed here. */
export interface OwnClient {
  readonly client: Client;
  /** Ends it at once, without a word to a server that may not listen. */
  cut(): void;
}

/**
 * What fences and deadlines rest on: nothing waits for a connection, and nothing is sent twice. A command that was
 * given up and sent again later could put an old value over a newer one.
 */
const ONCE = {
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  disconnectTimeout: 100,
  // Counts and times are calculated with.
  stringNumbers: false,
};
const OURS = {
  enableOfflineQueue: false,
  enableAutoPipelining: true,
  // Reads are gathered into one MGET already.
  autoPipeliningIgnoredCommands: ['mget'],
};
/** Without it a sentinel that stands still is waited for for ever, while the others would know the master. */
const ASKING_SENTINELS = { sentinelCommandTimeout: 500 };
/** Between attempts to connect, doubling. As long as a circuit is open at most: a server that is back should not be missed for longer. */
const RECONNECT_MS = { first: 25, most: 500 } as const;
/** How often a Cluster is asked who serves what, unless the options say. */
const REFRESH_MS = { commands: 1_000, messages: 5_000 } as const;

/** For commands: nothing is queued, lost connections come back quickly. */
export function openForCommands(source: Source, timeoutMs: number): OwnClient {
  const retryStrategy = (attempt: number): number =>
    Math.min(RECONNECT_MS.most, RECONNECT_MS.first * 2 ** Math.min(attempt, 6)) *
    (0.75 + Math.random() / 2);
  const connectTimeout = 4 * timeoutMs;
  if (source.cluster) {
    const { nodes, options = {} } = source.cluster;
    const own = {
      clusterRetryStrategy: retryStrategy,
      slotsRefreshTimeout: 1000,
      // Some of its keys have moved, others not yet: a matter of milliseconds.
      retryDelayOnTryAgain: 25,
      // For what had nobody to be sent to: most often the server is being connected to.
      retryDelayOnFailover: 25,
      ...options,
      ...OURS,
      redisOptions: {
        connectTimeout,
        reconnectOnError: isDemoted,
        ...options.redisOptions,
        ...ONCE,
      },
    };
    return openCluster(nodes, own, options.slotsRefreshInterval ?? REFRESH_MS.commands);
  }
  return openOne(source, {
    ...ASKING_SENTINELS,
    connectTimeout,
    retryStrategy,
    reconnectOnError: isDemoted,
    ...(source.options ?? source.sentinel),
    ...OURS,
    ...ONCE,
  });
}

/**
 * For listening and speaking, to where the storage's own client leads; beside a client that was handed in, a duplicate.
 * @param own options of a connection to one server
 */
export function openForMessages(source: Source, own: object): OwnClient {
  const retryStrategy = (attempt: number): number => Math.min(1_000, 50 * attempt);
  const { disconnectTimeout } = ONCE;
  const single = { ...own, retryStrategy, lazyConnect: false, disconnectTimeout };
  if (source.client instanceof Redis) return ownOne(source.client.duplicate(single));
  const given = source.client?.options ?? source.cluster?.options ?? {};
  const shared = {
    clusterRetryStrategy: retryStrategy,
    enableOfflineQueue: false,
    lazyConnect: false,
    slotsRefreshInterval: 0,
    redisOptions: { ...given.redisOptions, disconnectTimeout },
  };
  const everyMs = given.slotsRefreshInterval || REFRESH_MS.messages;
  if (source.client) return ownCluster(source.client.duplicate([], shared as object), everyMs);
  if (source.cluster) return openCluster(source.cluster.nodes, { ...given, ...shared }, everyMs);
  const { sentinel, options } = source;
  return openOne(source, { ...ASKING_SENTINELS, ...(options ?? sentinel), ...single });
}

function openOne({ url }: Source, options: object): OwnClient {
  return ownOne(url === undefined ? new Redis(options) : new Redis(url, options));
}

function ownOne(client: Redis): OwnClient {
  const cut = (): void => {
    // On a connection that has ended already, a disconnect would leave a timer behind.
    if (client.status !== 'end') client.disconnect();
    cutStream(client);
  };
  return { client, cut };
}

/** Without the client's own interval, see {@link keepRefreshed}. */
function openCluster(
  nodes: NonNullable<Source['cluster']>['nodes'],
  options: object,
  everyMs: number,
): OwnClient {
  return ownCluster(new Cluster([...nodes], { ...options, slotsRefreshInterval: 0 }), everyMs);
}

function ownCluster(client: Cluster, everyMs: number): OwnClient {
  const stop = everyMs > 0 ? keepRefreshed(client, everyMs) : undefined;
  const cut = (): void => {
    stop?.();
    const servers = serversOf(client);
    if (client.status !== 'end') client.disconnect();
    servers.forEach(cutStream);
  };
  return { client, cut };
}

/**
 * In place of the client's own timer: that one is armed again by the end of a refresh, also of one that was under way when
 * the client was closed, and then keeps the process for ever (ioredis 5 and 6).
 */
function keepRefreshed(client: Cluster, everyMs: number): () => void {
  let stop = (): void => undefined;
  const arm = (): void => {
    stop = systemClock.after(everyMs, () => {
      if (client.status === 'ready') client.refreshSlotsCache();
      arm();
    });
  };
  arm();
  return () => stop();
}

/** All connections of a client, the one of a Cluster that listens among them. */
function serversOf(client: Client): Redis[] {
  if (client instanceof Redis) return [client];
  const { subscriber } = client as unknown as {
    readonly subscriber?: { getInstance(): Redis | null };
  };
  const listener = subscriber?.getInstance();
  return listener ? [...client.nodes('all'), listener] : client.nodes('all');
}

/** Ends a connection at once. `disconnect` would wait for the other side, which may have stopped answering. */
export function cutStream(server: Redis): void {
  (server as unknown as { stream?: { destroy(): void } }).stream?.destroy();
}

/** After a failover the old master turns read-only under our connection: ask again who is master. */
function isDemoted(error: Error): boolean {
  return error.message.startsWith('READONLY');
}
