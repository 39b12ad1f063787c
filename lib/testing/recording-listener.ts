import type { CacheFault, CacheListener } from '../core/cache-listener.js';
import type { RemovalReason } from '../core/entry.js';
import type { ScopePath } from '../core/scope.js';
import type { RestoreReport } from '../core/storage.js';

/** One thing that a cache told its listener. Scopes are given by their text. */
export type RecordedEvent =
  | { readonly event: 'hit'; readonly key: string; readonly scope: string; readonly stale: boolean }
  | { readonly event: 'miss'; readonly key: string; readonly scope: string }
  | { readonly event: 'write'; readonly key: string; readonly scope: string }
  | {
      readonly event: 'removal';
      readonly reason: RemovalReason;
      readonly count: number;
      readonly key: string | undefined;
      readonly scope: string | undefined;
    }
  | { readonly event: 'fault'; readonly fault: CacheFault }
  | { readonly event: 'restore'; readonly report: RestoreReport };

/** Remembers everything it is told, in order: `createTestCache({ listener: new RecordingListener() })`. */
export class RecordingListener implements CacheListener {
  readonly events: RecordedEvent[] = [];

  /** The faults alone. */
  get faults(): CacheFault[] {
    return this.events.flatMap((one) => (one.event === 'fault' ? [one.fault] : []));
  }

  /** Keys of the events of one kind, in order. */
  keysOf(event: 'hit' | 'miss' | 'write' | 'removal'): (string | undefined)[] {
    return this.events.flatMap((one) => (one.event === event ? [one.key] : []));
  }

  clear(): void {
    this.events.length = 0;
  }

  onHit(key: string, scope: ScopePath, stale: boolean): void {
    this.events.push({ event: 'hit', key, scope: String(scope), stale });
  }

  onMiss(key: string, scope: ScopePath): void {
    this.events.push({ event: 'miss', key, scope: String(scope) });
  }

  onWrite(key: string, scope: ScopePath): void {
    this.events.push({ event: 'write', key, scope: String(scope) });
  }

  onRemoval(reason: RemovalReason, count: number, key?: string, scope?: ScopePath): void {
    const where = scope === undefined ? undefined : String(scope);
    this.events.push({ event: 'removal', reason, count, key, scope: where });
  }

  onFault(fault: CacheFault): void {
    this.events.push({ event: 'fault', fault });
  }

  onRestore(report: RestoreReport): void {
    this.events.push({ event: 'restore', report });
  }
}
