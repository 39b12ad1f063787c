import type { LoadContext } from './cache-options.js';
import { toMs, type Duration } from './duration.js';
import { checkedTags, type LoadSettings } from './load-settings.js';
import type { Lookup } from './lookup.js';

/** What a loader is given, and what it decided: see {@link LoadContext}. One for each load. */
export class LoadPlan implements LoadContext {
  #controller: AbortController | undefined;
  #aborted: { readonly reason: unknown } | undefined;
  #whenAborted: (() => void) | undefined;
  #ttlMs: number;
  #graceMs: number;
  #tags: readonly string[];
  #stores = true;
  #hidesStale = false;
  #readStale: () => Lookup<unknown>;

  constructor(
    readonly settings: LoadSettings,
    readStale: () => Lookup<unknown>,
  ) {
    this.#ttlMs = settings.ttlMs;
    this.#graceMs = settings.graceMs;
    this.#tags = settings.tags;
    this.#readStale = readStale;
  }

  /** Made on first use: most loaders never look at it. */
  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  get stale(): Lookup<unknown> {
    return this.#readStale();
  }

  setTtl(ttl: Duration): void {
    this.#ttlMs = toMs(ttl, 'ttl');
  }

  setGrace(grace: Duration): void {
    this.#graceMs = toMs(grace, 'grace');
    this.#hidesStale = this.#graceMs === 0;
  }

  addTags(...tags: string[]): void {
    this.#tags = checkedTags([...this.#tags, ...tags]);
  }

  skipStore(): void {
    this.#stores = false;
  }

  /** A negative result gets no grace: "not found" must not outlive its TTL because the source is down. */
  negative(ttl: Duration): void {
    this.#ttlMs = toMs(ttl, 'negative');
    this.#graceMs = 0;
  }

  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = { reason };
    (this.#controller ??= new AbortController()).abort(reason);
    this.#whenAborted?.();
  }

  get isAborted(): boolean {
    return this.#aborted !== undefined;
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#aborted.reason;
  }

  /** What to give up when nobody waits any more. */
  onAbort(giveUp: () => void): void {
    this.#whenAborted = giveUp;
  }

  /** The storage found a newer stale value when it gave the lease. */
  seeStale(readStale: () => Lookup<unknown>): void {
    this.#readStale = readStale;
  }

  /** Whether no stale value may stand in if this load fails. */
  get hidesStale(): boolean {
    return this.#hidesStale;
  }

  get stores(): boolean {
    return this.#stores && this.#ttlMs > 0;
  }

  get ttlMs(): number {
    return this.#ttlMs;
  }

  get graceMs(): number {
    return this.#graceMs;
  }

  get tags(): readonly string[] {
    return this.#tags;
  }
}
