import type { NewEntry, StoredEntry } from '../../core/entry.js';
import { StorageUnavailableError } from '../../core/errors.js';
import { sleep } from '../../core/clock.js';
import { isFresh, startOf } from '../../core/entry.js';
import type { Change, ChangeResult, StorageHost } from '../../core/storage.js';
import type { Budget } from './budget.js';
import type { Commands } from './commands.js';
import type { Argument } from './lua.js';
import type { Layout, Place } from './layout.js';
import type { Found, Reader } from './reader.js';
import { stampAt } from './record.js';
import { REMOVE, RENEW_ENTRY, WRITE } from './scripts.js';
import type { ServerClock } from './server-clock.js';
import type { Sight } from './read-batch.js';
import { WriteBatches } from './write-batch.js';

/** How a write is to be conditional. */
type Condition =
  /** Under a lease, by its token. */
  | { readonly mode: 's'; readonly expected: string }
  /** While the entry and its nodes are as observed. */
  | { readonly mode: 'c'; readonly expected: string };

/** Everything that changes one entry. Each is one script, so one round trip; `change` reads first. */
export class Writer {
  /** Unique in the fleet with the counter behind it; epochs and stamps need no more. */
  readonly #source: string;
  readonly #batches: WriteBatches;
  #made = 0;

  constructor(
    readonly host: StorageHost,
    readonly commands: Commands,
    readonly reader: Reader,
    readonly clock: ServerClock,
    readonly layout: Layout,
  ) {
    this.#batches = new WriteBatches(commands, clock, () => this.token());
    this.#source = host.randomToken().replace(/[^\w-]/g, '_');
  }

  /** A name that nothing else has. */
  token(): string {
    return this.#source + (this.#made++).toString(36);
  }

  /** Replaces whatever is there. */
  put(place: Place, entry: NewEntry): Promise<void> {
    const now = this.clock.now();
    const { ttlMs, graceMs } = entry;
    const storedAt = startOf(entry, now);
    const end = storedAt + ttlMs;
    const times = { storedAt, ttlMs, graceMs };
    const put = {
      score: score(end),
      life: lifeOf(end - now + graceMs),
      tags: this.#tagsOf(entry),
    };
    return this.#batches.put(place, put, (allocate) =>
      this.reader.seal(place, entry, times, allocate),
    );
  }

  /** `false`: the condition did not hold, and nothing was written. */
  async write(
    place: Place,
    entry: NewEntry,
    condition: Condition,
    remains?: StoredEntry,
    budget?: Budget,
  ): Promise<boolean> {
    const now = this.clock.now();
    const end = remains
      ? now + remains.freshUntil - this.host.clock.monotonic()
      : startOf(entry, now) + entry.ttlMs;
    const ttlMs = remains ? remains.ttlMs : entry.ttlMs;
    const times = { storedAt: end === Infinity ? now : end - ttlMs, ttlMs, graceMs: entry.graceMs };
    const token = this.token();
    const args: Argument[] = [place.name, condition.mode, condition.expected, score(end)];
    args.push(lifeOf(end - now + entry.graceMs), token, this.#tagsOf(entry));
    args.push(asBuffer(this.reader.seal(place, entry, times)));
    return (await this.commands.run(WRITE, place.scope, place.keys, args, budget)) === 1;
  }

  /** `true`: a fresh entry was removed. Voids the lease in any case. */
  async remove(place: Place): Promise<boolean> {
    return (
      (await this.commands.run(REMOVE, place.scope, place.keys, [place.name, this.clock.now()])) ===
      1
    );
  }

  /** A new life of `ttlMs` from now for the entry just found; `false` when it is not there any more. */
  async renew(place: Place, found: Found, ttlMs: number, budget?: Budget): Promise<boolean> {
    const now = this.clock.now();
    const { graceMs } = found.envelope;
    const head = this.reader.renewed(found, { storedAt: now, ttlMs, graceMs });
    const args = [
      place.name,
      found.record.stamp,
      score(now + ttlMs),
      lifeOf(ttlMs + graceMs),
      asBuffer(head),
    ];
    return (await this.commands.run(RENEW_ENTRY, place.scope, place.keys, args, budget)) === 1;
  }

  /** Compare and set, until nobody else wrote in between or `budget` is spent; the caller's own code does not spend it. */
  async change(
    place: Place,
    change: Change,
    budget = this.commands.budget(),
  ): Promise<ChangeResult> {
    let attempt = 0;
    for (; attempt === 0 || budget.leftMs > 0; attempt++) {
      const sight = await this.reader.look(place, attempt > 0 ? budget : undefined);
      const found = await this.reader.judge(place, sight);
      const current =
        found && isFresh(found.entry, this.host.clock.monotonic()) ? found.entry : undefined;
      const result = await budget.pauseFor(() => change(current));
      if ('keep' in result) return result;
      if (result.stillValid?.() === false) continue;
      const remains = result.ttl === 'remaining' ? current : undefined;
      const condition = { mode: 'c', expected: asObserved(sight) } as const;
      if (await this.write(place, result.write, condition, remains, budget)) return result;
      await this.#backOff(attempt);
    }
    throw new StorageUnavailableError(
      `Redis: ${attempt} other writers were faster on ${place.at.key} in scope ${place.at.scope}, and then the time was over. Spread the writes over several keys.`,
    );
  }

  #tagsOf({ tags }: NewEntry): string {
    return tags.length === 0 ? '' : tags.map((tag) => this.layout.tag(tag)).join(',');
  }

  async #backOff(attempt: number): Promise<void> {
    if (attempt > 2) await sleep(this.host.clock, this.host.random() * Math.min(20, attempt));
  }
}

/** What the write script compares. */
function asObserved({ bytes, nodes }: Sight): string {
  return [stampAt(bytes), ...nodes.map((node) => node?.toString('latin1') ?? '-')].join('|');
}

/** Whole ms for PX; 0 stands for no expiry. Ends beyond what the server can count are none. */
function lifeOf(ms: number): number {
  return ms < MAX_LIFE_MS ? Math.max(1, Math.ceil(ms)) : 0;
}

/** The same bytes: the client would turn any other view into text. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const MAX_LIFE_MS = 2 ** 52;

function score(serverMs: number): string {
  return serverMs === Infinity ? '+inf' : String(serverMs);
}
