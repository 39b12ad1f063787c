import { CacheError } from '../../core/errors.js';
import type { EntryAddress } from '../../core/storage.js';
import { decodeEntry, decodeHead, type FileEntry } from './entry-file.js';
import type { EntryFiles } from './entry-files.js';
import { readWhole } from './file-content.js';

/** Files that a walk came across: whose they are is known only when they have been read. */
export class FoundFiles {
  constructor(readonly files: EntryFiles) {}

  /** A file that a walk came across, whatever its key; `undefined` for one that belongs elsewhere. */
  async read(
    folder: string,
    name: string,
    isMoved = false,
  ): Promise<{ file: FileEntry; at: EntryAddress } | undefined> {
    const bytes = await readWhole(this.files.layout.placeIn(folder, name).path);
    const file = bytes instanceof Uint8Array ? this.#opened(bytes) : undefined;
    const scope = file && this.files.host.scopes.parse(file.envelope.scope);
    if (!file || !scope) return undefined;
    const at = { scope, key: file.envelope.key };
    const place = this.files.layout.placeOf(at);
    const belongs = place.path.endsWith(name) && (isMoved || place.folder === folder);
    return belongs ? { file, at } : undefined;
  }

  /**
   * For what {@link FoundFiles.read} could not make out, when it may have to go: sealed with a key that is not here, of a newer
   * version, of a scope that this cache does not have. Others can read it, and must not after its eviction (P5); so it goes, unless
   * it says for itself that it is not meant. Looked at with the key held: a life being renewed just now looks damaged for an instant.
   * Resolves to what it removed, as far as it can be read.
   */
  removeUnless(
    folder: string,
    name: string,
    isKept: (file: FileEntry) => boolean,
  ): Promise<FileEntry | undefined> {
    const { files } = this;
    const place = files.layout.placeIn(folder, name);
    return files.alone(place, async () => {
      const bytes = await readWhole(place.path);
      const file = bytes instanceof Uint8Array ? this.#opened(bytes) : undefined;
      if (bytes === undefined || (file && isKept(file))) return undefined;
      const isSound = bytes instanceof Uint8Array && decodeHead(files.sealer, bytes) !== undefined;
      if (isSound) await files.removeAlone(place);
      else await files.quarantine.setAside(place.path, 'it is damaged, or of a newer version');
      return file;
    });
  }

  /** Removes a file that a walk came across, if its time is over; its head says so even where the rest cannot be opened. */
  removeIfOver(folder: string, name: string): Promise<boolean> {
    const place = this.files.layout.placeIn(folder, name);
    return this.files.alone(place, async () => {
      const bytes = await readWhole(place.path);
      const file = bytes instanceof Uint8Array ? decodeHead(this.files.sealer, bytes) : undefined;
      if (!file || this.files.host.clock.now() < file.staleUntil) return false;
      await this.files.removeAlone(place);
      return true;
    });
  }

  #opened(bytes: Uint8Array): FileEntry | undefined {
    try {
      return decodeEntry(this.files.sealer, bytes);
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      return undefined;
    }
  }
}
