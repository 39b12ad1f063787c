import { counted } from '../../core/counting.js';
import { StorageUnavailableError } from '../../core/errors.js';
import type { NewEntry } from '../../core/entry.js';
import type { Change, ChangeResult, EntryAddress, StorageHost } from '../../core/storage.js';
import { isSameValue, timesFrom, type FileEntry } from './entry-file.js';
import type { Place } from './file-layout.js';
import type { FileParts } from './file-parts.js';
import { Turns } from './turns.js';

/** How often a change is tried when other writers keep being faster. */
const ROUNDS_MAX = 1_000;

/** Read-modify-write of single entries, atomic between processes. */
export class AtomicChanges {
  readonly #turns = new Turns();

  constructor(
    readonly host: StorageHost,
    readonly parts: FileParts,
  ) {}

  /** Without the key while the caller's function runs, which may take its time and may use the same key itself. */
  async change(at: EntryAddress, change: Change): Promise<ChangeResult> {
    const place = this.parts.layout.placeOf(at);
    const first = await this.#tryChange(at, place, change);
    if (first) return first;
    for (let round = 1; round < ROUNDS_MAX; round++) {
      const result = await this.#turns.take(place.slot, () => this.#tryChange(at, place, change));
      if (result) return result;
    }
    throw givenUp('changing', at);
  }

  /** With the key throughout: there is nobody else's code to wait for. */
  increment(at: EntryAddress, by: number, ttlMs: number): Promise<number> {
    const { files, layout } = this.parts;
    const place = layout.placeOf(at);
    return files.alone(place, async () => {
      for (let round = 0; round < ROUNDS_MAX; round++) {
        const file = this.#liveOnly(await files.readAlone(at, place));
        const current = file && files.stored(at, file);
        const value = counted(at, current ? current.value : 0, by);
        const { sliding, tags } = current ?? { sliding: false, tags: [] };
        const entry = { value, ttlMs, graceMs: 0, sliding, tags };
        if (await this.#put(at, place, entry, current && file)) return value;
      }
      throw givenUp('incrementing', at);
    });
  }

  /** `undefined`: somebody else was faster. */
  async #tryChange(
    at: EntryAddress,
    place: Place,
    change: Change,
  ): Promise<ChangeResult | undefined> {
    const { files } = this.parts;
    const seen = this.#liveOnly(await files.read(at, place));
    const result = await change(seen && files.stored(at, seen));
    if (!('write' in result)) return result;
    const isDone = await files.alone(place, async () => {
      const there = this.#liveOnly(await files.readAlone(at, place));
      if (!isSameValue(seen, there) || result.stillValid?.() === false) return false;
      const endsWith = result.ttl === 'remaining' ? there : undefined;
      return this.#put(at, place, result.write, endsWith, result.stillValid);
    });
    return isDone ? result : undefined;
  }

  /** `false`: `check` refused, or the scope was evicted in this moment, and what the change was based on with it. */
  async #put(
    at: EntryAddress,
    place: Place,
    entry: NewEntry,
    endsWith: FileEntry | undefined,
    check?: () => boolean,
  ): Promise<boolean> {
    const { storedAt, ttlMs, graceMs } = endsWith
      ? endsWith.envelope
      : timesFrom(this.host.clock.now(), entry);
    const bytes = this.parts.files.encode(at, entry, { storedAt, ttlMs, graceMs });
    if (!(await this.parts.files.publishAlone(place, bytes, check))) return false;
    this.parts.noteWrittenAlone(place, bytes);
    return true;
  }

  #liveOnly(file: FileEntry | undefined): FileEntry | undefined {
    return file && this.host.clock.now() < file.freshUntil ? file : undefined;
  }
}

function givenUp(what: string, at: EntryAddress): StorageUnavailableError {
  return new StorageUnavailableError(
    `fileStorage: ${what} ${at.key} in scope ${at.scope} was given up after ${ROUNDS_MAX} attempts; other writers were faster each time.`,
  );
}
