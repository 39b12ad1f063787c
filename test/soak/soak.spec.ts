import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { buildPackage } from '../redis/fleet/fleet.js';
import { prepare, type SoakStorage } from './places.js';
import { reportOf } from './report.js';
import { soak } from './soak.js';
import { violationsOf } from './verdict.js';

/** `npm run soak` sets these; without them it is the short form. */
const {
  SOAK_STORAGE: storages = 'tiered,file',
  SOAK_MINUTES: minutes,
  SOAK_SEED: seed = Math.floor(Math.random() * 2 ** 31),
  SOAK_FAULTS: faults,
  SOAK_DEGRADE: degrades,
  SOAK_HISTORY: historyFile,
} = process.env;
const ms = minutes === undefined ? 3_500 : Number(minutes) * 60_000;

let built: ReturnType<typeof buildPackage>;
beforeAll(() => {
  built = buildPackage();
}, 120_000);
afterAll(() => built.remove());

test.each(storages.split(',') as SoakStorage[])(
  'P1 P5 P6 P9 P12 P16 P17 %s: processes that do random things while servers, network, disk and each other fail',
  async (storage) => {
    const place = await prepare(storage);
    try {
      const outcome = await soak({
        place,
        dist: built.dist,
        seed: Number(seed),
        ms,
        onStorageError: degrades ? 'degrade' : 'throw',
        faults: faults === undefined ? undefined : new RegExp(faults),
        // Beside the whole test suite a machine is busy; that is not what this is about.
        slackMs: minutes === undefined ? 5_000 : 400,
      });
      if (historyFile) writeFileSync(historyFile, JSON.stringify(outcome.history));
      console.log(reportOf(outcome));
      expect(violationsOf(outcome)).toEqual([]);
    } finally {
      await place.stop();
    }
  },
  ms + 120_000,
);
