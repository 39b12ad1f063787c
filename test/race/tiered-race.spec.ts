import { describe, it } from '@jest/globals';
import { memoryStorage, tieredStorage, type StorageDriver } from 'nestjs-scoped-cache';
import { SharedFar } from '../tiered/support.js';
import { findsNoOlderValue } from './checker/find-violations.js';
import { MUTATIONS } from './checker/mutations.js';
import { READS } from './checker/reads.js';
import { scheduledMemory } from './race-kit.js';
import { BEAT_MS, LossyBus, scheduledFar } from './tiered-kit.js';

const FARS: readonly (readonly [
  string,
  (scheduler: Parameters<typeof scheduledFar>[0]) => StorageDriver,
])[] = [
  ['a far tier with leases', scheduledFar],
  ['a far tier without leases', scheduledMemory],
];

describe('race checker, tiered', () => {
  it.each(FARS)('P5 P16 memory near, %s', (_, makeFar) =>
    findsNoOlderValue(() => ({
      open: ({ open, scheduler }) => [
        open({ storage: tieredStorage({ near: memoryStorage(), far: makeFar(scheduler) }) }),
      ],
    }))(),
  );

  it('P6 P16 two nodes on one far tier, with a bus that is slow and loses messages', () =>
    findsNoOlderValue(() => {
      let isWell = false;
      let far: SharedFar;
      return {
        // What a fence of one process cannot see: docs/decisions/0024.
        mutations: MUTATIONS.filter(({ isPut, isSlow }) => !isPut && !isSlow),
        reads: READS.filter((read) => read !== 'put'),
        // Lost: noticed by the sender's next beat, which this node has heard when it has heard a later one of its own.
        spreadMs: 4 * BEAT_MS,
        open: async ({ open, scheduler, clock, random }) => {
          const bus = new LossyBus(scheduler, () => !isWell && random() < 0.2);
          far = new SharedFar(false, (call) => scheduler.schedule(Promise.resolve(), call));
          const node = () =>
            open({
              storage: tieredStorage({
                near: memoryStorage(),
                far: far.driver(),
                bus: bus.forNode(),
                heartbeat: BEAT_MS / 1_000,
              }),
            });
          const nodes = [node(), node()];
          for (let beat = 0; beat < 3; beat++) {
            await clock.advanceAsync(BEAT_MS);
            await scheduler.waitAll();
          }
          return nodes;
        },
        recover: () => (isWell = true),
        close: () => far.store.close(),
      };
    })());
});
