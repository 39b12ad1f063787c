import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { buildPackage } from '../redis/fleet/fleet.js';
import { prepare, type SoakStorage } from './places.js';
import { soak } from './soak.js';
import { explain } from './report.js';

/** `npm run soak` sets these; without them it is the short form. */
const minutes = Number(process.env.SOAK_MINUTES ?? 0);
const seed = Number(process.env.SOAK_SEED ?? Math.floor(Math.random() * 2 ** 31));
const only = process.env.SOAK_STORAGE?.split(',');
const faults = process.env.SOAK_FAULTS;
const onStorageError = process.env.SOAK_DEGRADE ? 'degrade' : 'throw';
const short: readonly SoakStorage[] = ['tiered'];
const storages = (only ?? short) as readonly SoakStorage[];

let built: ReturnType<typeof buildPackage>;
beforeAll(() => {
  built = buildPackage();
}, 120_000);
afterAll(() => built.remove());

test.each(storages)(
  'P5 P9 P12 P16 P17 %s: random work of several processes under faults from outside',
  async (storage) => {
    const place = await prepare(storage);
    try {
      const outcome = await soak({
        place,
        dist: built.dist,
        seed,
        ms: minutes === 0 ? 6_000 : minutes * 60_000,
        onStorageError,
        ...(faults !== undefined && { faults: new RegExp(faults) }),
      });
      if (process.env.SOAK_HISTORY)
        writeFileSync(
          process.env.SOAK_HISTORY,
          JSON.stringify({ faults: outcome.history.faults, records: outcome.history.records }),
        );
      const { text, violations } = explain(outcome);
      console.log(text);
      expect(violations).toEqual([]);
    } finally {
      await place.stop();
    }
  },
  (minutes + 2) * 60_000,
);
