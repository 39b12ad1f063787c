import type { StoredEntry } from '../../core/entry.js';
import type { EntryAddress, ReadOptions, StorageHost } from '../../core/storage.js';
import type { FileEntry } from './entry-file.js';
import type { Place } from './file-layout.js';
import type { FileParts } from './file-parts.js';

/** Reading entries, and what a read leaves behind: a renewed life, a later time of use. */
export class Reads {
  constructor(
    readonly host: StorageHost,
    readonly parts: FileParts,
  ) {}

  async read(at: EntryAddress, options?: ReadOptions): Promise<StoredEntry | undefined> {
    const { files, layout } = this.parts;
    const place = layout.placeOf(at);
    const file = await files.read(at, place);
    const now = this.host.clock.now();
    if (!file || now >= file.staleUntil) return undefined;
    if (options?.peek === true) return files.stored(at, file);
    const renews = file.envelope.sliding && now < file.freshUntil && now !== file.envelope.storedAt;
    const current = renews ? await this.#slide(at, place, file, now) : file;
    this.#noteRead(at, place, file, now);
    return files.stored(at, current);
  }

  /** The entry with its life renewed; as it was, when it was replaced or removed in between. */
  async #slide(at: EntryAddress, place: Place, file: FileEntry, now: number): Promise<FileEntry> {
    const { files } = this.parts;
    const { ttlMs, graceMs } = file.envelope;
    try {
      const isRenewed = await files.alone(place, () =>
        files.renewAlone(place, file, { storedAt: now, ttlMs, graceMs }),
      );
      return isRenewed
        ? { ...file, freshUntil: now + ttlMs, staleUntil: now + ttlMs + graceMs }
        : file;
    } catch (error) {
      // The value is here and good; that its life could not be renewed costs a later miss.
      this.#report('slide', error, at);
      return file;
    }
  }

  #noteRead(at: EntryAddress, place: Place, file: FileEntry, now: number): void {
    if (
      !this.parts.usage.read(place.path, file.bytes.length, now, file.usedAt) ||
      this.parts.isClosed
    )
      return;
    this.parts.inBackground(
      this.parts.files.noteUse(place).catch((error: unknown) => this.#report('noteUse', error, at)),
    );
  }

  #report(during: string, error: unknown, at: EntryAddress): void {
    this.host.listener.onFault?.({
      during,
      storage: 'file',
      error,
      key: at.key,
      scope: at.scope,
    });
  }
}
