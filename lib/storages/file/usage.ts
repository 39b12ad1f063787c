import type { FileSettings } from './file-options.js';

/** Entries remembered for `removeIdle` when there are no limits. */
const REMEMBERED_MAX = 10_000;
/** A read is written into the file when the last one written is older: what other processes and restarts see of it. */
const NOTE_EVERY_MS = 60_000;

interface Use {
  bytes: number;
  usedAt: number;
  notedAt: number;
}

/** One entry that has to make room. */
export interface Victim {
  readonly path: string;
  readonly reason: 'lru' | 'size';
}

/**
 * When entries were last used, and how much there is of them: the order in which they make room. Exact for what this
 * process reads and writes; the sweep adds what others wrote. Holds every entry when there are limits, else the last
 * 10,000 used.
 */
export class Usage {
  readonly #uses = new Map<string, Use>();
  readonly #isLimited: boolean;
  #bytes = 0;

  constructor(readonly limits: Pick<FileSettings, 'maxEntries' | 'maxBytes'>) {
    this.#isLimited = limits.maxEntries !== Infinity || limits.maxBytes !== Infinity;
  }

  get isLimited(): boolean {
    return this.#isLimited;
  }

  get entries(): number {
    return this.#uses.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Wall-clock ms; `undefined` when this process does not remember the entry. */
  usedAt(path: string): number | undefined {
    return this.#uses.get(path)?.usedAt;
  }

  /** A read. `true`: it is time to note it in the file. */
  read(path: string, bytes: number, now: number, fileSays: number): boolean {
    const notedAt = this.#uses.get(path)?.notedAt ?? fileSays;
    const isDue = !(now - notedAt < NOTE_EVERY_MS);
    this.#put(path, { bytes, usedAt: now, notedAt: isDue ? now : notedAt });
    return isDue;
  }

  written(path: string, bytes: number, now: number): void {
    this.#put(path, { bytes, usedAt: now, notedAt: now });
  }

  /** An entry that somebody else wrote: it goes behind the ones known. */
  found(path: string, bytes: number, usedAt: number): void {
    if (this.#isLimited && !this.#uses.has(path))
      this.#put(path, { bytes, usedAt, notedAt: usedAt });
  }

  removed(path: string): void {
    this.#bytes -= this.#uses.get(path)?.bytes ?? 0;
    this.#uses.delete(path);
  }

  /** A whole folder is gone. */
  removedUnder(folder: string): void {
    for (const path of this.#uses.keys()) if (path.startsWith(folder)) this.removed(path);
  }

  /** Forgets and returns the longest unused entry while there is too much. */
  nextVictim(): Victim | undefined {
    const isTooMany = this.#uses.size > this.limits.maxEntries;
    if (!this.#isLimited || (!isTooMany && this.#bytes <= this.limits.maxBytes)) return undefined;
    const [path] = this.#uses.keys();
    if (path === undefined) return undefined;
    this.removed(path);
    return { path, reason: isTooMany ? 'lru' : 'size' };
  }

  #put(path: string, use: Use): void {
    this.removed(path);
    this.#uses.set(path, use);
    this.#bytes += use.bytes;
    if (!this.#isLimited && this.#uses.size > REMEMBERED_MAX)
      this.removed(this.#uses.keys().next().value!);
  }
}
