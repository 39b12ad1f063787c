import { InvalidOptionsError } from '../../core/errors.js';
import type { OpenStorage, StorageDriver, StorageHost } from '../../core/storage.js';
import { checkedFileOptions, type FileStorageOptions } from './file-options.js';
import { FileParts } from './file-parts.js';
import { FileStore } from './file-store.js';

export type { FileStorageOptions } from './file-options.js';

/**
 * Entries on disk, one file each: they survive restarts, kill -9 and a full disk, and several processes of one machine may
 * share them, with the same guarantees as within one. A read costs two calls to the file system whatever the depth of the
 * scope; evicting a scope is one rename, after which its entries are counted.
 *
 * Everything lies below `directory`, in folders that only this process's user can enter, under names that are digests.
 * @throws InvalidOptionsError for a wrong option; when a cache opens it, also for a folder that is missing, a link,
 * another user's or writable by others, and for eviction rules, which a storage shared by processes cannot keep
 */
export function fileStorage(options: FileStorageOptions): StorageDriver {
  const settings = checkedFileOptions(options);
  return {
    name: 'file',
    open(host: StorageHost): OpenStorage {
      if (host.rules.length > 0)
        throw new InvalidOptionsError(
          `fileStorage: it cannot keep the rules ${host.rules.map((rule) => rule.name).join(', ')}, since other processes share its entries. ` +
            'Use its maxEntries and maxBytes, or rules with memoryStorage.',
        );
      return new FileStore(host, new FileParts(host, settings));
    },
  };
}
