import { toMs, type Duration } from '../../core/duration.js';
import { InvalidOptionsError, CacheError } from '../../core/errors.js';
import { EntrySealer } from '../../core/entry-sealer.js';
import { checkedCipher, type ValueCipher } from '../../core/value-cipher.js';
import { GLOBAL_SCOPE } from '../../core/scope.js';
import type {
  EntryAddress,
  ListedEntry,
  OpenStorage,
  RestoreReport,
  SnapshotControl,
  StorageHost,
} from '../../core/storage.js';
import { pacer } from './pacer.js';
import { snapshotFiles, writeSnapshot } from './snapshot.js';
import { encodeRecord } from './snapshot-record.js';
import { SnapshotRestore } from './snapshot-restore.js';

/** For {@link Snapshots}. */
export interface SnapshotsOptions {
  /** Path of the newest snapshot. Its folder is made when it is missing. */
  readonly file: string;
  /** Older snapshots kept as `<file>.1`, `<file>.2`, … Default 2. */
  readonly backups?: number;
  /** How often `startAutoDump` dumps. Default `'5m'`. 0: not at all. */
  readonly every?: Duration;
  /** Seals every record, for example `aes256Gcm({ keys, current })`. Default: none. Records that do not open are not restored. */
  readonly encryption?: ValueCipher;
}

/**
 * Keeps a storage's entries, with what is left of their lives, in a file, and brings them back.
 *
 * A snapshot is a state of the past: restored after a crash, it may bring back what was removed since. Dump at shutdown
 * (after which nothing is removed), and leave it off for data whose removal must outlast a crash.
 */
export class Snapshots implements SnapshotControl {
  readonly #files: readonly string[];
  readonly #backups: number;
  readonly #sealer: EntrySealer;
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
    this.#sealer = new EntrySealer(host, checkedCipher(options.encryption, 'snapshot: encryption'));
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
   * be read of the newest that can. Never rejects; the listener is told of the report (`onRestore`).
   */
  async restore(): Promise<RestoreReport> {
    const report = await new SnapshotRestore(
      this.storage,
      this.host,
      this.#sealer,
      this.#files,
    ).run();
    this.#figures.restoredEntries += report.restored;
    this.host.listener.onRestore?.(report);
    return report;
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
    const pause = pacer(this.host.clock);
    for await (const line of this.storage.list(GLOBAL_SCOPE, { deep: true })) {
      const record = this.#encode(line);
      if (record) yield record;
      await pause();
    }
  }

  /** A value that cannot be written down is left out and reported: it must not cost the others their snapshot. */
  #encode(line: ListedEntry): Uint8Array | undefined {
    try {
      return encodeRecord(this.host, this.#sealer, line);
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      this.#report('dump', error, line.address);
      return undefined;
    }
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
