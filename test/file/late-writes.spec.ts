import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cache } from '../../lib/core/cache.js';
import { fileStorage } from '../../lib/file.js';
import type { FileStore } from '../../lib/storages/file/file-store.js';
import { Folder } from '../support/file/store.js';
import { makeCache } from '../support/make-cache.js';

/** For atomic operations the cache waits for twice as long. */
const DEADLINE_MS = 500;

/**
 * RELIABILITY 2.4, slow fsync: the writer has been told that its write failed, and only then is the disk done with the file.
 * The two caches are two processes as far as the folder is concerned.
 */
describe('a write that was given up on a slow disk is not done any more', () => {
  let folder: Folder;
  let other: Cache;
  let slow: Cache;
  let store: FileStore;
  /** What the disk takes for each new file. */
  let diskMs: number;
  beforeEach(() => {
    folder = new Folder();
    const driver = fileStorage({ directory: join(folder.path, 'cache') });
    other = makeCache({ storage: driver, storageTimeout: '20s', onStorageError: 'throw' });
    slow = makeCache({
      storage: { name: 'file', open: (host) => (store = driver.open(host) as FileStore) },
      storageTimeout: DEADLINE_MS / 1_000,
      onStorageError: 'throw',
    });
    const { folders } = store.parts.files;
    for (const name of ['openTemp', 'createTemp'] as const) {
      const make = folders[name].bind(folders) as (...args: unknown[]) => Promise<unknown>;
      Object.defineProperty(folders, name, {
        value: async (...args: unknown[]) => {
          const made = await make(...args);
          await sleep(diskMs);
          return made;
        },
      });
    }
  });
  afterEach(async () => {
    await Promise.all([slow.close(), other.close()]);
    await folder.remove();
  });

  /** Reads with the other one for as long as the write may take; the slow one's journal removes the key only later. */
  async function isNeverRead(): Promise<void> {
    for (let left = diskMs + 500; left > 0; left -= 20) {
      expect(await other.get('k')).toBeUndefined();
      await sleep(20);
    }
  }

  test.each<readonly [string, () => Promise<unknown>]>([
    ['set', () => slow.set('k', 'old')],
    ['setMany', () => slow.setMany({ k: 'old' })],
  ])('P5 %s: nor after another process has deleted the key meanwhile', async (_, write) => {
    diskMs = DEADLINE_MS + 300;
    await expect(write()).rejects.toThrow(/took longer than/);
    await other.delete('k');
    await isNeverRead();
  });

  /** Whoever deletes the key waits for these, since they hold it. */
  test.each<readonly [string, () => Promise<unknown>]>([
    ['update', () => slow.update('k', () => 'old')],
    ['merge', () => slow.merge('k', { is: 'old' })],
  ])('%s', async (_, write) => {
    diskMs = 2 * DEADLINE_MS + 300;
    await expect(write()).rejects.toThrow(/took longer than/);
    await isNeverRead();
  });
});
