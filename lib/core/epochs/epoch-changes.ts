import { isFresh, type NewEntry } from '../entry.js';
import { counted } from '../counting.js';
import { isPromise } from '../guard.js';
import type { Change, ChangeResult, EntryAddress, StorageHost } from '../storage.js';
import type { EpochEntries, Loaded } from './epoch-entries.js';
import type { EpochLeases } from './epoch-leases.js';
import type { Epochs, EpochTokens } from './epochs.js';

/** What a change is thought out from. */
interface Sight {
  readonly live: Loaded | undefined;
  /** What the new value must be stored under, tags that are new to the entry excepted: an eviction meanwhile takes it too. */
  readonly epochs: EpochTokens;
}

/** A change that was made, was overtaken, or whose caller is still thinking. */
type Attempt =
  | { readonly sight: Sight; readonly thinking: Promise<ChangeResult> }
  | { readonly result: ChangeResult | undefined };

/** Changes of single entries that depend on what is there, atomic in this process. */
export class EpochChanges {
  constructor(
    readonly host: StorageHost,
    readonly epochs: Epochs,
    readonly entries: EpochEntries,
    readonly leased: EpochLeases,
    /** Nothing else happens to the place meanwhile. */
    readonly exclusively: <T>(at: EntryAddress, work: () => Promise<T>) => Promise<T>,
  ) {}

  /**
   * Without the key while the caller's function takes its time: reads of it would wait until their deadline, and the function
   * may read it itself.
   */
  async change(at: EntryAddress, change: Change): Promise<ChangeResult> {
    for (;;) {
      const attempt = await this.exclusively(at, () => this.#begin(at, change));
      const result = 'thinking' in attempt ? await this.#finish(at, attempt) : attempt.result;
      if (result) return result;
    }
  }

  async increment(at: EntryAddress, by: number, ttlMs: number): Promise<number> {
    const result = await this.change(at, (current) => {
      const sum = counted(at, current ? current.value : 0, by);
      if (!current) return { write: { value: sum, ttlMs, graceMs: 0, sliding: false, tags: [] } };
      const { sliding, tags } = current;
      const graceMs = current.staleUntil - current.freshUntil || 0;
      const write = { value: sum, ttlMs: current.ttlMs, graceMs, sliding, tags };
      return { write, ttl: 'remaining' };
    });
    return (result as { write: NewEntry }).write.value as number;
  }

  async #begin(at: EntryAddress, change: Change): Promise<Attempt> {
    const sight = await this.#look(at);
    const result = change(sight.live?.entry);
    if (isPromise(result)) return { sight, thinking: result };
    return { result: await this.#apply(at, result, sight) };
  }

  async #finish(
    at: EntryAddress,
    { sight, thinking }: Extract<Attempt, { sight: Sight }>,
  ): Promise<ChangeResult | undefined> {
    const result = await thinking;
    return this.exclusively(at, async () => {
      const { live } = await this.#look(at);
      return isSameValue(sight.live, live)
        ? this.#apply(at, result, { ...sight, live })
        : undefined;
    });
  }

  async #look(at: EntryAddress): Promise<Sight> {
    const found = await this.entries.of(at);
    const isLive = found && isFresh(found.entry, this.host.clock.monotonic());
    const live = isLive ? found : undefined;
    return { live, epochs: live?.epochs ?? (await this.epochs.current(at.scope, [], 'create')) };
  }

  /** `undefined`: it was overtaken, and must be thought out anew. */
  async #apply(
    at: EntryAddress,
    result: ChangeResult,
    { live, epochs }: Sight,
  ): Promise<ChangeResult | undefined> {
    if (!('write' in result)) return result;
    const { write, ttl, stillValid } = result;
    this.leased.voidKey(at);
    const payload = this.host.serializer.serialize(write.value);
    const life =
      ttl === 'remaining' && live
        ? {
            ...write,
            remainingMs: Math.max(1, live.entry.freshUntil - this.host.clock.monotonic()),
          }
        : write;
    const current = await this.epochs.current(at.scope, write.tags, 'create');
    if (stillValid?.() === false) return undefined;
    await this.entries.write(at, life, payload, { ...current, ...epochs });
    return result;
  }
}

/** Whether two reads saw the same value: its times may have been renewed in between. */
function isSameValue(one: Loaded | undefined, other: Loaded | undefined): boolean {
  if (!one || !other) return one === other;
  return isSame(one.payload, other.payload) && isSame(one.entry.tags, other.entry.tags);
}

function isSame<T>(one: ArrayLike<T>, other: ArrayLike<T>): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false;
  return true;
}
