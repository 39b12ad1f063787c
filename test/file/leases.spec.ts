import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { at, entry, Folder, scope } from '../support/file/store.js';

const ORG = { org: 'o1' };
let folder: Folder;
beforeEach(() => {
  folder = new Folder();
});
afterEach(() => folder.remove());

/** Another process evicts between the look at a lease and writing it anew. */
describe.each(['before', 'after', 'long before'] as const)(
  '%s the lease is written anew to its side',
  (when) => {
    test.each(['renewed', 'kept from storing a tag'] as const)(
      'P5 one that is being %s while its scope is evicted does not come back',
      async (how) => {
        const [store, other] = [folder.store(), folder.store()];
        const answer = await store.leases.acquire(at('k', ORG), 10_000);
        if (answer.kind !== 'leased') throw new Error('not leased');
        const { folders } = store.parts.files;
        const createTemp = folders.createTemp.bind(folders);
        let evictions = 0;
        const evict = async (): Promise<void> => {
          if (evictions++ > 0) return;
          await other.evictScope(scope(ORG));
          // The number of the folder is free then, and ext4 gives it to the next one.
          if (when === 'long before') await other.parts.trash.whenIdle();
        };
        folders.createTemp = async (...args) => {
          if (when !== 'after') await evict();
          const temp = await createTemp(...args);
          if (when === 'after') await evict();
          return temp;
        };
        if (how === 'renewed') expect(await store.leases.renew(answer.lease, 10_000)).toBe(false);
        else await store.evictTags(scope(ORG), ['another']);
        expect(evictions).toBe(1);
        expect(await store.leases.store(answer.lease, entry('old'))).toBe(false);
        expect(await other.read(at('k', ORG))).toBeUndefined();
      },
    );
  },
);
