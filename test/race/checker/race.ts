import type { Scheduler } from 'fast-check';
import {
  BulkLoadError,
  LoadTimeoutError,
  StorageUnavailableError,
  UnsupportedError,
  type Cache,
  type LoadContext,
} from 'nestjs-scoped-cache';
import type { ManualClock } from 'nestjs-scoped-cache/testing';
import { History, type Since, type Told, type Versioned } from './history.js';
import type { Mutation } from './mutations.js';
import { COUNTER, PLACES, type Place } from './places.js';
import { DECISIONS, isVersioned, KINDS, type Read } from './reads.js';

const DOWN = new Error('source');

/** Answers of a call: each was cached, or loaded, for a place. */
interface Answer {
  readonly value: unknown;
  readonly acceptsStale: boolean;
}

/** The source, the caches that are told of its changes, and everybody who reads. */
export class Race {
  readonly history: History;
  readonly violations: string[] = [];

  constructor(
    readonly scheduler: Scheduler,
    readonly clock: ManualClock,
    readonly caches: readonly Cache[],
    spreadMs: number,
  ) {
    this.history = new History(() => clock.monotonic(), spreadMs);
  }

  async mutate(mutation: Mutation, node: number): Promise<void> {
    await this.scheduler.schedule(Promise.resolve(), mutation.name);
    const { history } = this;
    const told = history.begin(node, mutation.onlyExpires === true);
    this.#log(`${mutation.name} begins on ${node}`);
    try {
      if (mutation.isPut) await this.#put(mutation.affects[0]!, node, told);
      else {
        // What a slow update brings was thought out like a load: it must not come after what came meanwhile.
        const by = mutation.isSlow ? 0 : history.numberOf(told);
        history.change(mutation.affects, told);
        const made = (place: Place): Versioned => history.current(place, by);
        await mutation.tell(this.caches[node]!, made, () => this.#pause());
      }
      history.end(told);
      this.#log(`${mutation.name} has resolved`);
    } catch (error) {
      if (!isFault(error)) throw error;
      this.#log(`${mutation.name} has rejected`);
    }
  }

  async read(read: Read, place: Place, node: number): Promise<void> {
    await this.scheduler.schedule(Promise.resolve(), `${read} ${place.id}`);
    const since = this.history.since(node);
    this.#log(`${read} ${place.id} begins on ${node}`);
    try {
      for (const answer of await this.#answers(read, place, node)) this.#judge(read, answer, since);
    } catch (error) {
      const errors = error instanceof BulkLoadError ? [error.cause] : [error];
      if (!errors.every(isExpected)) throw error;
      this.#log(`${read} ${place.id} rejects`);
    }
  }

  #judge(read: Read, { value, acceptsStale }: Answer, since: Since): void {
    const { history } = this;
    this.#log(`${read} answers ${JSON.stringify(value)}`);
    const problem =
      typeof value === 'number'
        ? history.judgeCount(value, COUNTER, since)
        : isVersioned(value)
          ? history.judge(value, since, acceptsStale)
          : undefined;
    if (problem === undefined) return;
    const where = isVersioned(value) ? value.place : COUNTER.id;
    this.violations.push(`${read} of ${where}: ${problem}`, ...history.log);
  }

  /** What `@CachePut` does: a fence, the method, which takes its time before and after it writes, and the write. */
  async #put(place: Place, node: number, changes: Told | undefined): Promise<void> {
    const cache = this.caches[node]!;
    const fence = cache.openFence();
    try {
      await this.#pause();
      if (changes) this.history.change([place], changes);
      const value = this.history.current(place);
      await this.#pause();
      const { key, scope, tag } = place;
      await cache.setFenced(key, value, { scope, tags: [tag], grace: 60 }, fence);
    } finally {
      fence.close();
    }
  }

  async #answers(read: Read, place: Place, node: number): Promise<Answer[]> {
    const cache = this.caches[node]!;
    const { key, scope, tag } = place;
    switch (read) {
      case 'get':
        return fresh(await cache.get(key, { scope }));
      case 'map get':
        return fresh(await cache.asMap(scope).get(key));
      case 'lookup stale': {
        const found = await cache.lookup(key, { scope, allowStale: true });
        return found.hit ? [{ value: found.value, acceptsStale: true }] : [];
      }
      case 'getMany':
        return fresh(...(await cache.getMany(['k', 'l'], { scope })));
      case 'entries':
        return this.#listed(cache, place);
      case 'put':
        // A method that changes nothing, so what it returns may be outdated by the time it is stored.
        await this.#put(place, node, undefined);
        return [];
      case 'getOrSetMany stale':
      case 'getOrSetMany refreshing':
      case 'getOrSetMany':
        return this.#many(read, cache, place);
      case 'getInherited': {
        const found = await cache.getInherited(key, { scope });
        return found.hit ? fresh(found.value) : [];
      }
      case 'touch':
        await cache.touch(key, { scope, ttl: 30 });
        return [];
      case 'keep': {
        // Changes something else about the value: what it was made from must not come back after an eviction.
        const keep = (old: Versioned | undefined): Versioned =>
          old ?? { v: NaN, place: place.id, by: 0 };
        return fresh(await cache.update(key, keep, { scope, tags: [tag] }));
      }
      case 'increment': {
        const count = this.history.beginCount();
        const sum = await cache.increment(COUNTER.key, { scope: COUNTER.scope });
        this.history.end(count);
        return fresh(sum);
      }
      case 'get counter':
        return fresh(await cache.get(COUNTER.key, { scope: COUNTER.scope }));
      case 'removeExpired':
        await cache.removeExpired();
        return [];
      case 'removeIdle':
        await cache.removeIdle(0.5, { scope });
        return [];
      case 'advance':
        this.clock.advance(600);
        return [];
      case 'advance far':
        this.clock.advance(3_000);
        return [];
      default:
        return this.#loaded(read, cache, place, node);
    }
  }

  async #loaded(read: Read, cache: Cache, place: Place, node: number): Promise<Answer[]> {
    const { key, scope } = place;
    const report = await cache.getOrSetDetailed(
      key,
      (context) => this.#load(read, place, node, context),
      { scope, ...KINDS[read] },
    );
    // Whoever finds a stale value may get it when the load that he joins fails.
    return [{ value: report.value, acceptsStale: report.outcome === 'stale' }];
  }

  /** Sees the source at its start, and says its tags at its end. */
  async #load(read: Read, place: Place, node: number, context: LoadContext): Promise<unknown> {
    const value = this.history.current(place);
    this.#log(`loader of ${place.id} sees ${value.v}`);
    const next = PLACES[PLACES.indexOf(place) + 1];
    if (read === 'getOrSet nested' && next) await this.read('getOrSet', next, node);
    else await this.#pause();
    context.addTags(place.tag);
    DECISIONS[read]?.(context);
    if (read === 'getOrSet failing') throw DOWN;
    const { stale } = context;
    if (read !== 'getOrSet repeating' || !stale.hit || !isVersioned(stale.value)) return value;
    return { ...stale.value, isRepeated: true };
  }

  async #many(read: Read, cache: Cache, place: Place): Promise<Answer[]> {
    const { scope } = place;
    const here = PLACES.filter((one) => one.scope === scope);
    const load = async (keys: readonly string[], context: LoadContext): Promise<unknown[]> => {
      const values = keys.map((key) => this.history.current(here.find((one) => one.key === key)!));
      await this.#pause();
      context.addTags('t', 'u');
      return values;
    };
    const keys = here.map((one) => one.key);
    const values = await cache.getOrSetMany(keys, load, { scope, ...KINDS[read] });
    // It does not say which of them are stale.
    return values.map((value) => ({ value, acceptsStale: true }));
  }

  async #listed(cache: Cache, { scope }: Place): Promise<Answer[]> {
    const values: unknown[] = [];
    for await (const { value } of cache.entries({ scope, deep: true })) values.push(value);
    return fresh(...values);
  }

  #pause(): Promise<void> {
    return this.scheduler.schedule(Promise.resolve(), 'loader');
  }

  #log(line: string): void {
    this.history.log.push(`  ${this.clock.monotonic()} ms: ${line}`);
  }
}

function fresh(...values: unknown[]): Answer[] {
  return values.map((value) => ({ value, acceptsStale: false }));
}

/** A storage that was made to fail. */
function isFault(error: unknown): boolean {
  return error instanceof StorageUnavailableError;
}

/** Errors of loads are answers as well; a load may be joined, and its error remembered, by any call. */
function isExpected(error: unknown): boolean {
  return (
    error === DOWN ||
    error instanceof LoadTimeoutError ||
    error instanceof UnsupportedError ||
    isFault(error)
  );
}
