import { describe, it } from '@jest/globals';
import { lru, memoryStorage, type StorageDriver } from 'nestjs-scoped-cache';
import { storageContract } from 'nestjs-scoped-cache/testing';

storageContract({ name: 'memory', makeStorage: () => memoryStorage(), describe, it });

/** Every storage call waits for a rule, so that nothing in memory is synchronous any more. */
const behindAsyncRules = (): StorageDriver => {
  const memory = memoryStorage();
  const slow = { name: 'slow', onGet: later, onSet: later, onEvict: later, onClear: later };
  return {
    name: 'memory',
    open: (host) => memory.open({ ...host, rules: [slow, lru({ max: 100_000 })] }),
  };
};
const later = (): Promise<undefined> => Promise.resolve(undefined);

storageContract({
  name: 'memory behind asynchronous rules',
  makeStorage: behindAsyncRules,
  describe,
  it,
});
