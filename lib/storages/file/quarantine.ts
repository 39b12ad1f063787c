import { join } from 'node:path';
import type { CacheListener } from '../../core/cache-listener.js';
import { SerializationError } from '../../core/errors.js';
import type { EntryAddress } from '../../core/storage.js';
import { hasCode, isThere, rename } from './disk.js';
import type { FileLayout } from './file-layout.js';
import type { Restore } from './safe-folder.js';

const FILES_MAX = 16;
/** Others may remove the folder again and again; this often it is made anew. */
const ROUNDS_MAX = 8;

/** Where unreadable files go, for somebody to look at: the last 16 of them, however many processes there are. */
export class Quarantine {
  #next: number;
  #count = 0;

  constructor(
    readonly layout: FileLayout,
    readonly listener: CacheListener,
    random: number,
    readonly restore: Restore,
  ) {
    this.#next = Math.floor(random * FILES_MAX);
  }

  /** How many files this process has set aside. */
  get count(): number {
    return this.#count;
  }

  /** Moves the file (a link itself, not what it points to) out of the way and reports it. Resolves to where it is then. */
  async setAside(path: string, why: string, at?: EntryAddress): Promise<string | undefined> {
    const target = join(this.layout.corrupt, `${this.#next++ % FILES_MAX}.corrupt`);
    for (let round = 1; ; round++) {
      try {
        await rename(path, target);
        break;
      } catch (error) {
        if (!hasCode(error, 'ENOENT') || round === ROUNDS_MAX)
          return this.#leaveIt(path, why, error, at);
        this.restore();
        // Else there was nowhere to put it, whoever has made that again.
        if (!isThere(path)) return undefined;
      }
    }
    this.#count++;
    this.#report(
      new SerializationError(
        `fileStorage: ${path} was ignored: ${why}. It is now ${target}; remove it when you have looked at it.`,
      ),
      at,
    );
    return target;
  }

  /** Where nothing can be moved, the file stays and is a miss each time; that is reported as well. */
  #leaveIt(path: string, why: string, cause: unknown, at: EntryAddress | undefined): undefined {
    this.#report(
      new SerializationError(
        `fileStorage: ${path} was ignored: ${why}. It could not be set aside.`,
        { cause },
      ),
      at,
    );
  }

  #report(error: SerializationError, at: EntryAddress | undefined): void {
    this.listener.onFault?.({
      during: 'read',
      storage: 'file',
      error,
      ...(at && { key: at.key, scope: at.scope }),
    });
  }
}
