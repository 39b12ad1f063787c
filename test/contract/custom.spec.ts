import { setImmediate } from 'node:timers/promises';
import { describe, it } from '@jest/globals';
import { mapStorage, storageContract } from 'nestjs-scoped-cache/testing';

const custom = { describe, it, shared: 'entries', cannot: ['idle', 'grace'] } as const;

storageContract({ name: 'a Map, synchronous', makeStorage: () => mapStorage(), ...custom });

storageContract({
  name: 'a Map, asynchronous',
  makeStorage: () => mapStorage({ answer: async <T>(value: T) => (await setImmediate(), value) }),
  ...custom,
});

storageContract({
  name: 'a Map that cannot list its keys',
  makeStorage: () => mapStorage({ lists: false }),
  ...custom,
  cannot: ['list', 'idle', 'grace'],
});
