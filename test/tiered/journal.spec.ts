import { expect, test } from '@jest/globals';
import { EvictionJournal } from '../../lib/core/resilience/eviction-journal.js';
import { GLOBAL_SCOPE } from '../../lib/core/scope.js';
import type { OpenStorage } from '../../lib/core/storage.js';

test('P13 an eviction asked for again while it is being replayed is replayed again', async () => {
  const journal = new EvictionJournal();
  const at = { scope: GLOBAL_SCOPE, key: 'k' };
  let removals = 0;
  const storage = {
    remove: async () => {
      if (removals++ === 0) journal.addKey(at);
      await Promise.resolve();
      return true;
    },
  } as unknown as OpenStorage;
  journal.addKey(at);
  await journal.replay(storage);
  expect(removals).toBe(2);
  expect(journal.size).toBe(0);
});
