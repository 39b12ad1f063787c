import { toMs, type Duration } from '../../core/duration.js';
import { decodeEnvelope, encodeEnvelope, PAYLOAD } from '../../core/envelope.js';
import { InvalidOptionsError, CacheError } from '../../core/errors.js';
import type { NewEntry } from '../../core/entry.js';
import { GLOBAL_SCOPE } from '../../core/scope.js';
import type {
  EntryAddress,
  ListedEntry,
  OpenStorage,
  RestoreReport,
  SnapshotControl,
  StorageHost,
} from '../../core/storage.js';
import { hasCode } from './disk.js';
import {
  inspectSnapshot,
  readSnapshot,
  snapshotFiles,
  writeSnapshot,
  type SnapshotState,
} from './snapshot.js';

/** For {@link Snapshots}. */
export interface SnapshotsOptions {
  /** Path of the newest snapshot. Its folder is made when it is missing. */
  readonly file: string;
  /** Older snapshots kept as `<file>.1`, `<file>.2`, … Default 2. */
  readonly backups?: number;
  /** How often `startAutoDump` dumps. Default `'5m'`. 0: not at all. */
  readonly every?: Duration;
}

/** Time spent on records before others have their turn. */
const SLICE_MS = 2;
const BATCH = 128;

type RestoreItem = readonly [EntryAddress, NewEntry];
type Counts = { -readonly [K in 'restored' | 'expired' | 'skipped' | 'damaged']: number };

/**
 * Keeps a storage's entries, with what is left of their lives, in a file, and brings them back.
 *
 * A snapshot is a state of the past: restored after a crash, it may bring back what was removed since. Dump at shutdown
 * (after which nothing is removed), and leave it off for data whose removal must outlast a crash.
 */
export class Snapshots implements SnapshotControl {
  readonly #files: readonly string[];
  readonly #backups: number;
  #everyMs: number;
  #stopTimer: (() => void) | undefined;
  #dumping: Promise<boolean> = Promise.resolve(true);
  #waiting: Promise<boolean> | undefined;
  readonly #figures = {
    dumps: 0,
    failedDumps: 0,
    dumpedEntries: 0,
    lastDumpAt: 0,
    restoredEntries: 0,
  };

  /** @throws InvalidOptionsError for a wrong option */
  constructor(
    readonly storage: OpenStorage,
    readonly host: StorageHost,
    options: SnapshotsOptions,
  ) {
    const { file, backups = 2 } = options;
    if (typeof file !== 'string' || file === '')
      throw new InvalidOptionsError('snapshot: file must be the path of a file.');
    if (!Number.isInteger(backups) || backups < 0 || backups > 100)
      throw new InvalidOptionsError(
        `snapshot: backups must be a whole number from 0 to 100; got ${String(backups)}.`,
      );
    this.#files = snapshotFiles(file, backups);
    this.#backups = backups;
    this.#everyMs = toMs(options.every ?? '5m', 'snapshot: every');
  }

  /** Whether dumps are being made on their own. */
  get isAutoDumping(): boolean {
    return this.#stopTimer !== undefined;
  }

  /**
   * Writes all live entries. Never rejects: `false` means that it failed, that this was reported, and that the previous
   * snapshot is untouched. One dump at a time; calls that come meanwhile share one that begins afterwards.
   */
  dump(): Promise<boolean> {
    this.#waiting ??= this.#dumping.then(() => {
      this.#waiting = undefined;
      return (this.#dumping = this.#dumpNow());
    });
    return this.#waiting;
  }

  /**
   * Writes the entries of the newest good snapshot into the storage, with what is left of their lives; keys that the
   * storage has already stay as they are. Whole snapshots come first, newest to oldest; when none is whole, whatever can
   * be read of the newest that can. Never rejects.
   */
  async restore(): Promise<RestoreReport> {
    const counts: Counts = { restored: 0, expired: 0, skipped: 0, damaged: 0 };
    try {
      const source = await this.#chooseSource();
      if (!source) return { file: undefined, dumpedAt: undefined, ...counts };
      counts.damaged = source.state.damaged;
      await this.#restoreFrom(source.file, counts);
      this.#figures.restoredEntries += counts.restored;
      return { file: source.file, dumpedAt: source.state.dumpedAt, ...counts };
    } catch (error) {
      this.#report('restore', error);
      return { file: undefined, dumpedAt: undefined, ...counts };
    }
  }

  /** Dumps at every interval from now on. Again: no second timer. Does nothing when the interval is 0. */
  startAutoDump(): void {
    if (this.#stopTimer || this.#everyMs === 0 || this.#everyMs === Infinity) return;
    this.#arm();
  }

  stopAutoDump(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  /** Changes the interval, which restarts the timer if it runs; the same interval changes nothing. 0 stops it. */
  setAutoDumpInterval(every: Duration): void {
    const everyMs = toMs(every, 'setAutoDumpInterval');
    if (everyMs === this.#everyMs) return;
    const wasRunning = this.isAutoDumping;
    this.stopAutoDump();
    this.#everyMs = everyMs;
    if (wasRunning) this.startAutoDump();
  }

  /** Stops the timer and waits for what runs; with `finalDump`, writes once more. */
  async close(finalDump: boolean): Promise<void> {
    this.stopAutoDump();
    await (finalDump ? this.dump() : (this.#waiting ?? this.#dumping));
  }

  /** For `stats()`. */
  figures(): Readonly<Record<string, number>> {
    return { ...this.#figures };
  }

  /** The next one is armed when this one is over: a slow disk gets no queue of dumps. */
  #arm(): void {
    let isStopped = false;
    const stop = this.host.clock.after(this.#everyMs, () => {
      this.dump().then(
        () => (isStopped ? undefined : this.#arm()),
        (error: unknown) => this.#report('dump', error),
      );
    });
    this.#stopTimer = () => {
      isStopped = true;
      stop();
    };
  }

  async #dumpNow(): Promise<boolean> {
    const dumpedAt = this.host.clock.now();
    try {
      this.#figures.dumpedEntries = await writeSnapshot(this.#files[0]!, this.#records(), {
        backups: this.#backups,
        dumpedAt,
      });
      this.#figures.dumps++;
      this.#figures.lastDumpAt = dumpedAt;
      return true;
    } catch (error) {
      this.#figures.failedDumps++;
      this.#report('dump', error);
      return false;
    }
  }

  async *#records(): AsyncGenerator<Uint8Array> {
    const pause = this.#pacer();
    for await (const line of this.storage.list(GLOBAL_SCOPE, { deep: true })) {
      const record = this.#encode(line);
      if (record) yield record;
      await pause();
    }
  }

  /** A value that cannot be written down is left out and reported: it must not cost the others their snapshot. */
  #encode({ address, entry }: ListedEntry): Uint8Array | undefined {
    const { clock, serializer, checksum } = this.host;
    try {
      const freshUntil = entry.freshUntil - clock.monotonic() + clock.now();
      return encodeEnvelope(
        {
          encoding: PAYLOAD.plain,
          scope: address.scope.id,
          key: address.key,
          // The beginning of the life that ends when this one does, however often it was renewed.
          storedAt: entry.ttlMs === Infinity ? clock.now() : freshUntil - entry.ttlMs,
          ttlMs: entry.ttlMs,
          graceMs: entry.staleUntil === Infinity ? 0 : entry.staleUntil - entry.freshUntil,
          sliding: entry.sliding,
          tags: entry.tags,
          loadMs: entry.loadMs,
          extra: '',
          payload: serializer.serialize(entry.value),
        },
        checksum,
      );
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      this.#report('dump', error, address);
      return undefined;
    }
  }

  async #chooseSource(): Promise<{ file: string; state: SnapshotState } | undefined> {
    let damaged: { file: string; state: SnapshotState } | undefined;
    for (const file of this.#files) {
      const state = await this.#inspect(file);
      if (state?.isWhole) return { file, state };
      if (state && state.count > 0) damaged ??= { file, state };
      if (state)
        this.#report(
          'restore',
          new CacheError(
            'STORAGE_UNAVAILABLE',
            `The snapshot ${file} is damaged (${state.count} good records, ${state.damaged} bad ones); trying the next older one.`,
          ),
        );
    }
    return damaged;
  }

  async #inspect(file: string): Promise<SnapshotState | undefined> {
    try {
      return await inspectSnapshot(file);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) this.#report('restore', error);
      return undefined;
    }
  }

  async #restoreFrom(file: string, counts: Counts): Promise<void> {
    const pause = this.#pacer();
    let batch: RestoreItem[] = [];
    for await (const record of readSnapshot(file)) {
      const item = this.#decode(record, counts);
      if (item) batch.push(item);
      if (batch.length >= BATCH) batch = await this.#put(batch, counts);
      await pause();
    }
    await this.#put(batch, counts);
  }

  #decode(record: Uint8Array, counts: Counts): RestoreItem | undefined {
    const { clock, scopes, serializer, checksum, admit } = this.host;
    const envelope = decodeEnvelope(record, checksum);
    const scope = envelope && scopes.parse(envelope.scope);
    if (!envelope) counts.damaged++;
    else if (!scope) counts.skipped++;
    if (!envelope || !scope) return undefined;
    const leftMs = envelope.storedAt + envelope.ttlMs - clock.now();
    if (leftMs <= 0) {
      counts.expired++;
      return undefined;
    }
    const { key, graceMs, sliding, tags, loadMs } = envelope;
    try {
      const value = serializer.deserialize(envelope.payload);
      // A clock that was set back must not make lives longer than they were given.
      const ttlMs = Math.min(leftMs, envelope.ttlMs);
      return [
        { scope, key },
        {
          value: admit ? admit(value, key) : value,
          ttlMs,
          graceMs,
          sliding,
          tags,
          ...(loadMs !== undefined && { loadMs }),
        },
      ];
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      counts.damaged++;
      this.#report('restore', error, { scope, key });
      return undefined;
    }
  }

  /** What is there already is newer than any snapshot. */
  async #put(batch: readonly RestoreItem[], counts: Counts): Promise<RestoreItem[]> {
    const there = await this.storage.readMany(
      batch.map(([at]) => at),
      { peek: true },
    );
    const missing = batch.filter((_, at) => there[at] === undefined);
    await this.storage.writeMany(missing);
    counts.restored += missing.length;
    counts.skipped += batch.length - missing.length;
    return [];
  }

  /** Resolves at once until a slice of time is used up; then after everybody else had a turn. */
  #pacer(): () => Promise<void> | undefined {
    const { clock } = this.host;
    let since = clock.monotonic();
    return () => {
      if (clock.monotonic() - since < SLICE_MS) return undefined;
      return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
        since = clock.monotonic();
      });
    };
  }

  #report(during: string, error: unknown, at?: EntryAddress): void {
    this.host.listener.onFault?.({
      during,
      storage: 'snapshot',
      error,
      ...(at && { key: at.key, scope: at.scope }),
    });
  }
}
