import { Logger } from '@nestjs/common';
import type { CacheFault, CacheListener } from '../core/cache-listener.js';
import type { Clock } from '../core/clock.js';

/** A storage that is away fails thousands of times in a minute, which says no more than once. */
const EVERY_MS = 60_000;

interface Said {
  readonly at: number;
  unsaid: number;
}

/**
 * Faults in the application's log, for those who have given no `onFault`: nothing else shows that a storage is away, since
 * requests are answered all the same. Each kind once a minute at most.
 */
export class FaultLog {
  readonly #logger = new Logger('CacheModule');
  /** By storage and operation, of which there are a few dozen. */
  readonly #said = new Map<string, Said>();

  constructor(readonly clock: Clock) {}

  /** The listener with this log as its `onFault`, unless it has one. */
  behind(listener: CacheListener | undefined): CacheListener {
    const own = listener as CacheListener | null | undefined;
    if (own !== undefined && (typeof own !== 'object' || own === null || own.onFault)) return own!;
    // Hook by hook: a hook that nobody has must stay absent, because hits cost less then. What is no function goes on as it is,
    // for the cache to refuse.
    return {
      ...(own?.onHit && { onHit: bound(own.onHit, own) }),
      ...(own?.onMiss && { onMiss: bound(own.onMiss, own) }),
      ...(own?.onWrite && { onWrite: bound(own.onWrite, own) }),
      ...(own?.onRemoval && { onRemoval: bound(own.onRemoval, own) }),
      ...(own?.onRestore && { onRestore: bound(own.onRestore, own) }),
      onFault: (fault) => this.#note(fault),
    };
  }

  #note(fault: CacheFault): void {
    const kind = `${fault.storage} ${fault.during}`;
    const now = this.clock.monotonic();
    const last = this.#said.get(kind);
    if (last && now - last.at < EVERY_MS) last.unsaid++;
    else {
      this.#said.set(kind, { at: now, unsaid: 0 });
      this.#logger.warn(inWords(fault, last?.unsaid ?? 0));
    }
  }
}

function bound<F extends (...args: never[]) => void>(hook: F, listener: CacheListener): F {
  return typeof hook === 'function' ? (hook.bind(listener) as F) : hook;
}

function inWords({ during, storage, error, key, scope }: CacheFault, unsaid: number): string {
  const place = key === undefined ? '' : ` of key ${key}${scope ? ` in scope ${scope}` : ''}`;
  const why = error instanceof Error ? error.message : String(error);
  const before = unsaid === 0 ? '' : ` (${unsaid} more since the last line of this kind)`;
  return `Fault during ${during}${place}, storage "${storage}": ${why}${before}`;
}
