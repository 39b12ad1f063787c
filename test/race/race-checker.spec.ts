import { describe, it } from '@jest/globals';
import { lru, memoryStorage, type EvictionRule } from 'nestjs-scoped-cache';
import { findsNoOlderValue, type Surroundings } from './checker/find-violations.js';
import { SCOPE_EVICTIONS } from './checker/mutations.js';
import { READS } from './checker/reads.js';
import { scheduledMap, scheduledMemory } from './race-kit.js';

describe('race checker: no read that starts after a write or an eviction has resolved sees an older value', () => {
  it(
    'P5 P16 memory',
    findsNoOlderValue(() => ({
      open: ({ open }) => [open({ storage: memoryStorage() })],
    })),
  );

  it(
    'P5 P16 memory with room for three entries',
    findsNoOlderValue(() => ({
      open: ({ open }) => [open({ storage: memoryStorage({ maxEntries: 3 }) })],
    })),
  );

  it(
    'P5 P16 memory whose calls take effect and answer in any order',
    findsNoOlderValue(() => ({
      open: ({ open, scheduler }) => [open({ storage: scheduledMemory(scheduler) })],
    })),
  );

  it(
    'P5 P16 memory behind rules that answer in any order',
    findsNoOlderValue(() => ({
      open: ({ open, scheduler }) => [
        open({ storage: memoryStorage(), rules: [slowRule(scheduler), lru({ max: 3 })] }),
      ],
    })),
  );

  it(
    'P5 P16 a minimal storage whose calls take effect and answer in any order',
    findsNoOlderValue(() => ({
      open: ({ open, scheduler }) => [open({ storage: scheduledMap(scheduler) })],
    })),
  );

  it(
    'P5 P13 P16 a minimal storage that fails now and then, and is too slow at times',
    findsNoOlderValue(() => {
      let isWell = false;
      return {
        open: ({ open, scheduler, random }) => {
          const fault = () =>
            isWell || random() > 0.15 ? undefined : random() < 0.5 ? 'before' : 'after';
          return [open({ storage: scheduledMap(scheduler, fault), storageTimeout: 0.25 })];
        },
        recover: () => (isWell = true),
      };
    }),
  );

  it(
    'P5 P16 two caches on one minimal storage, whose scopes either of them evicts',
    findsNoOlderValue(() => ({
      mutations: SCOPE_EVICTIONS,
      // The fences of puts are of one process.
      reads: READS.filter((read) => read !== 'put'),
      open: ({ open, scheduler }) => {
        const storage = scheduledMap(scheduler);
        return [open({ storage }), open({ storage })];
      },
    })),
  );
});

function slowRule(scheduler: Surroundings['scheduler']): EvictionRule {
  const later = async (): Promise<undefined> => {
    await scheduler.schedule(Promise.resolve(), 'rule');
  };
  return { name: 'slow', onGet: later, onSet: later, onEvict: later, onClear: later };
}
