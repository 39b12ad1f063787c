import type { CacheFault, CacheListener } from './cache-listener.js';
import type { RemovalReason } from './entry.js';
import { isPromise } from './guard.js';
import type { ScopePath } from './scope.js';
import type { RestoreReport } from './storage.js';

/** The counters of one cache, and its listener, guarded: a listener that throws changes nothing. */
export class CacheState implements Required<CacheListener> {
  hits = 0;
  misses = 0;
  staleHits = 0;
  loads = 0;
  loadErrors = 0;
  sets = 0;
  deletes = 0;
  errors = 0;
  readonly evictions: Record<string, number> = Object.create(null) as Record<string, number>;

  constructor(readonly listener: CacheListener | undefined) {}

  onHit(key: string, scope: ScopePath, stale: boolean): void {
    this.hits++;
    if (stale) this.staleHits++;
    if (this.listener?.onHit) this.#tell(() => this.listener!.onHit!(key, scope, stale));
  }

  onMiss(key: string, scope: ScopePath): void {
    this.misses++;
    if (this.listener?.onMiss) this.#tell(() => this.listener!.onMiss!(key, scope));
  }

  onWrite(key: string, scope: ScopePath): void {
    this.sets++;
    if (this.listener?.onWrite) this.#tell(() => this.listener!.onWrite!(key, scope));
  }

  onRemoval(reason: RemovalReason, count: number, key?: string, scope?: ScopePath): void {
    this.evictions[reason] = (this.evictions[reason] ?? 0) + count;
    if (this.listener?.onRemoval)
      this.#tell(() => this.listener!.onRemoval!(reason, count, key, scope));
  }

  onFault(fault: CacheFault): void {
    this.errors++;
    if (this.listener?.onFault) this.#tell(() => this.listener!.onFault!(fault));
  }

  onRestore(report: RestoreReport): void {
    if (this.listener?.onRestore) this.#tell(() => this.listener!.onRestore!(report));
  }

  /** Back to zero, as `clear` does. */
  reset(): void {
    this.hits = this.misses = this.staleHits = this.loads = this.loadErrors = 0;
    this.sets = this.deletes = this.errors = 0;
    for (const reason of Object.keys(this.evictions)) delete this.evictions[reason];
  }

  /** A listener's own failure is its owner's; counting it is all that can be done without calling it again. */
  #tell(call: () => unknown): void {
    try {
      const answer = call();
      // Hooks are synchronous, but the types let an asynchronous one pass, and its rejection would end the process.
      if (isPromise(answer)) answer.then(undefined, () => this.errors++);
    } catch {
      this.errors++;
    }
  }
}
