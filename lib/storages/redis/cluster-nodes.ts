import type { Cluster, Redis } from 'ioredis';
import { systemClock } from '../../core/clock.js';

/** A connection that is being made. */
interface Attempt {
  readonly since: number;
  /** Resolves when it is ready, or has failed. */
  readonly end: Promise<void>;
}

/**
 * The servers of a Cluster that are just being connected to. The client connects to each with its first command, keeps that
 * one, and refuses all that come before the server has answered: at the start of an application, after a failover and after
 * each lost connection. Whoever waits for the attempt here instead, within its own deadline, is served.
 */
export class ClusterNodes {
  readonly #nodes = new Map<string, Redis>();
  /** Those that somebody waits for, or has waited for; gone when they end. */
  readonly #attempts = new Map<Redis, Attempt>();

  /** @param hopeMs how long an attempt is worth waiting for: a server that stands still takes connections, and never answers */
  constructor(
    readonly client: Cluster,
    readonly hopeMs: number,
  ) {
    for (const node of client.nodes('all')) this.#add(node);
    client.on('+node', this.#add).on('-node', this.#remove);
  }

  /** Resolves when the attempt to connect to `server` (`host:port`) has ended; `undefined` where none is worth waiting for. */
  attempt(server: string): Promise<void> | undefined {
    const node = this.#nodes.get(server);
    return node && this.#attemptOf(node);
  }

  /** As {@link attempt}, of any server. */
  anyAttempt(): Promise<void> | undefined {
    const ends = [...this.#nodes.values()].flatMap((node) => this.#attemptOf(node) ?? []);
    return ends.length > 0 ? Promise.race(ends) : undefined;
  }

  close(): void {
    this.client.off('+node', this.#add).off('-node', this.#remove);
    this.#nodes.clear();
  }

  #attemptOf(node: Redis): Promise<void> | undefined {
    if (node.status !== 'connecting' && node.status !== 'connect') return undefined;
    const attempt = this.#attempts.get(node) ?? this.#await(node);
    return systemClock.monotonic() - attempt.since < this.hopeMs ? attempt.end : undefined;
  }

  #await(node: Redis): Attempt {
    const end = new Promise<void>((resolve) => {
      const settle = (): void => {
        node.off('ready', settle).off('close', settle).off('end', settle);
        this.#attempts.delete(node);
        resolve();
      };
      node.on('ready', settle).on('close', settle).on('end', settle);
    });
    const attempt = { since: systemClock.monotonic(), end };
    this.#attempts.set(node, attempt);
    return attempt;
  }

  readonly #add = (node: Redis): void => void this.#nodes.set(nameOf(node), node);

  readonly #remove = (node: Redis): void => {
    // It may have been replaced already.
    if (this.#nodes.get(nameOf(node)) === node) this.#nodes.delete(nameOf(node));
  };
}

function nameOf({ options }: Redis): string {
  return `${options.host}:${options.port}`;
}
