import type { ScopePath } from '../../core/scope.js';
import type { StorageHost } from '../../core/storage.js';
import type { Commands } from './commands.js';
import type { Layout, ScopeKeys } from './layout.js';
import {
  COUNT,
  COUNT_QUEUED,
  DROP_IDLE,
  EVICT_NODE,
  EVICT_TAGS,
  INLINE_MAX,
  MARK_STALE,
  SWEEP,
  UNCOUNT_STALE,
} from './node-scripts.js';
import { garbageOf, type Reclaim } from './reclaim.js';
import type { ServerClock } from './server-clock.js';

const SCAN_BATCH = 200;
const SWEEP_BATCH = 500;

/**
 * Evictions, counts and sweeps of whole subtrees. The global scope has a node in each bucket; each of them is worked
 * on by itself, and the result stands when all are done.
 */
export class ScopeWork {
  constructor(
    readonly host: StorageHost,
    readonly commands: Commands,
    readonly layout: Layout,
    readonly reclaim: Reclaim,
    readonly clock: ServerClock,
  ) {}

  evict(scope: ScopePath): Promise<number> {
    return this.#sum(scope, (keys) => this.#evictNode(keys));
  }

  evictTags(scope: ScopePath, tags: readonly string[]): Promise<number> {
    const named = this.#named(tags);
    return named.length === 0
      ? Promise.resolve(0)
      : this.#sum(scope, (keys) => this.#evictTagsAt(keys, named));
  }

  count(scope: ScopePath): Promise<number> {
    return this.#sum(scope, (keys) => this.#countAt(keys));
  }

  expire(scope: ScopePath, tags: readonly string[] | undefined): Promise<number> {
    return this.#sum(scope, (keys) => this.#expireAt(keys, tags && this.#named(tags)));
  }

  removeIdle(scope: ScopePath, idleMs: number): Promise<number> {
    // The server counts idle time in whole seconds: up to one more than has passed. Never too early.
    const seconds = Math.ceil(idleMs / 1000);
    return this.#sum(scope, async (keys) => {
      await this.reclaim.settle(keys);
      const drop = (names: string[]): Promise<unknown> =>
        this.commands.run(DROP_IDLE, keys, keys.nodes, [seconds, this.clock.now(), ...names]);
      return this.#sumBatches(keys, drop);
    });
  }

  removeExpired(global: ScopePath): Promise<number> {
    return this.#sum(global, async (keys) => {
      this.reclaim.start(keys);
      for (let total = 0; ;) {
        const taken = Number(
          await this.commands.run(SWEEP, keys, keys.nodes, [this.clock.now(), SWEEP_BATCH]),
        );
        total += taken;
        if (taken < SWEEP_BATCH) return total;
      }
    });
  }

  /** Names of the node's members, in batches; a member may come twice while the index is being resized. */
  async *members(keys: ScopeKeys): AsyncGenerator<string[]> {
    const [, , index] = await this.#ask(keys);
    if (index === undefined) return;
    let cursor = '0';
    do {
      const [next, found] = await this.commands.scan(keys, index, cursor, SCAN_BATCH);
      cursor = next;
      const names = found.filter((_, at) => at % 2 === 0);
      for (let at = 0; at < names.length; at += SCAN_BATCH) yield names.slice(at, at + SCAN_BATCH);
    } while (cursor !== '0');
  }

  #named(tags: readonly string[]): string[] {
    return [...new Set(tags)].map((tag) => this.layout.tag(tag));
  }

  async #sum(scope: ScopePath, work: (keys: ScopeKeys) => Promise<number>): Promise<number> {
    const outcomes = await Promise.allSettled(this.layout.nodes(scope).map(work));
    let total = 0;
    // All are tried before the first fault is told: an eviction reaches every server that can be reached.
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw outcome.reason;
      total += outcome.value;
    }
    return total;
  }

  async #evictNode(keys: ScopeKeys): Promise<number> {
    const now = this.clock.now();
    const reply = await this.commands.run(EVICT_NODE, keys, keys.nodes, [now, INLINE_MAX]);
    const [count, index, pending] = reply as [number, string?, number?];
    if (index === undefined) return count;
    return pending === 0 ? this.#reclaimed(keys, count) : this.#countOfQueued(keys, [index], now);
  }

  async #evictTagsAt(keys: ScopeKeys, tags: readonly string[]): Promise<number> {
    const now = this.clock.now();
    const reply = await this.commands.run(EVICT_TAGS, keys, keys.nodes, [now, INLINE_MAX, ...tags]);
    const [count, pending, ...queued] = reply as [number, number, ...string[]];
    if (queued.length === 0) return count;
    if (queued.length === 1 && pending === 0) return this.#reclaimed(keys, count);
    return this.#countOfQueued(keys, queued, now);
  }

  #reclaimed(keys: ScopeKeys, count: number): number {
    this.reclaim.start(keys);
    return count;
  }

  /** Earlier evictions may have left dead members in them; they go first. */
  async #countOfQueued(keys: ScopeKeys, queued: readonly string[], now: number): Promise<number> {
    const args = [now, ...queued];
    const ask = (): Promise<unknown> =>
      this.commands.run(COUNT_QUEUED, keys, [garbageOf(keys)], args);
    const count = await this.reclaim.until(keys, async () => (await ask()) as number | null);
    return this.#reclaimed(keys, count);
  }

  async #countAt(keys: ScopeKeys): Promise<number> {
    return this.reclaim.until(keys, async () => {
      const [count, pending] = await this.#ask(keys);
      return pending === 0 ? count : null;
    });
  }

  async #ask(keys: ScopeKeys): Promise<[number, number, string?]> {
    const reply = await this.commands.run(COUNT, keys, keys.nodes, [this.clock.now()]);
    return reply as [number, number, string?];
  }

  async #expireAt(keys: ScopeKeys, tags: readonly string[] | undefined): Promise<number> {
    await this.reclaim.settle(keys);
    const reply = await this.commands.run(MARK_STALE, keys, keys.nodes, tags ?? []);
    const [epoch, fence] = reply as [string?, string?];
    if (epoch === undefined) return 0;
    const chosen = tags?.join(',') ?? '';
    if (tags?.length === 0) return 0;
    return this.#sumBatches(keys, (names) =>
      this.commands.run(UNCOUNT_STALE, keys, keys.nodes, [
        epoch,
        fence!,
        chosen,
        this.clock.now(),
        ...names,
      ]),
    );
  }

  async #sumBatches(keys: ScopeKeys, work: (names: string[]) => Promise<unknown>): Promise<number> {
    let total = 0;
    for await (const names of this.members(keys)) total += Number(await work(names));
    return total;
  }
}
