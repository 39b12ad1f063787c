import { CacheError } from '../../core/errors.js';
import type { EntrySealer } from '../../core/entry-sealer.js';
import type { NewEntry } from '../../core/entry.js';
import type { EntryAddress, OpenStorage, RestoreReport, StorageHost } from '../../core/storage.js';
import { hasCode } from './disk.js';
import { pacer } from './pacer.js';
import { inspectSnapshot, readSnapshot, type SnapshotState } from './snapshot.js';
import { decodeRecord } from './snapshot-record.js';

/** Written in one go, without anybody else having a turn: a fraction of a millisecond. */
const BATCH = 32;

type Item = readonly [EntryAddress, NewEntry];

interface Source {
  readonly file: string;
  readonly state: SnapshotState;
}

/** One restore: the choice of the snapshot, and its way back into the storage. */
export class SnapshotRestore {
  readonly #counts = { restored: 0, expired: 0, skipped: 0, damaged: 0 };

  constructor(
    readonly storage: OpenStorage,
    readonly host: StorageHost,
    readonly sealer: EntrySealer,
    /** Newest first. */
    readonly files: readonly string[],
  ) {}

  /** Never rejects; what fails is reported, and what was restored by then stays. */
  async run(): Promise<RestoreReport> {
    try {
      const source = await this.#chooseSource();
      if (!source) return { file: undefined, dumpedAt: undefined, ...this.#counts };
      await this.#restoreFrom(source);
      return { file: source.file, dumpedAt: source.state.dumpedAt, ...this.#counts };
    } catch (error) {
      this.#report(error);
      return { file: undefined, dumpedAt: undefined, ...this.#counts };
    }
  }

  async #chooseSource(): Promise<Source | undefined> {
    let damaged: Source | undefined;
    for (const file of this.files) {
      const state = await this.#inspect(file);
      if (state?.isWhole) return { file, state };
      if (state && state.count > 0) damaged ??= { file, state };
      if (state) this.#reportDamage(file, state);
    }
    return damaged;
  }

  async #inspect(file: string): Promise<SnapshotState | undefined> {
    try {
      return await inspectSnapshot(file);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) this.#report(error);
      return undefined;
    }
  }

  async #restoreFrom({ file, state }: Source): Promise<void> {
    const pause = pacer(this.host.clock);
    this.#counts.damaged = state.damaged;
    let batch: Item[] = [];
    for await (const record of readSnapshot(file)) {
      const item = this.#decode(record);
      if (item) batch.push(item);
      if (batch.length >= BATCH) batch = await this.#put(batch);
      await pause();
    }
    await this.#put(batch);
  }

  #decode(record: Uint8Array): Item | undefined {
    const outcome = decodeRecord(this.host, this.sealer, record);
    if (outcome.kind === 'entry') return [outcome.at, outcome.entry];
    this.#counts[outcome.kind]++;
    if (outcome.kind === 'damaged' && outcome.error) this.#report(outcome.error, outcome.at);
    return undefined;
  }

  /** What is there already is newer than any snapshot. */
  async #put(batch: readonly Item[]): Promise<Item[]> {
    const places = batch.map(([at]) => at);
    const there = await this.storage.readMany(places, { peek: true });
    const missing = batch.filter((_, at) => there[at] === undefined);
    await this.storage.writeMany(missing);
    this.#counts.restored += missing.length;
    this.#counts.skipped += batch.length - missing.length;
    return [];
  }

  #reportDamage(file: string, { count, damaged }: SnapshotState): void {
    const message = `The snapshot ${file} is damaged (${count} good records, ${damaged} bad ones); trying the next older one.`;
    this.#report(new CacheError('STORAGE_UNAVAILABLE', message));
  }

  #report(error: unknown, at?: EntryAddress): void {
    const place = at && { key: at.key, scope: at.scope };
    this.host.listener.onFault?.({ during: 'restore', storage: 'snapshot', error, ...place });
  }
}
