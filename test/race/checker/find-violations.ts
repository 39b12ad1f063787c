import { expect } from '@jest/globals';
import fc, { type Scheduler } from 'fast-check';
import { type Cache, type CacheOptions } from 'nestjs-scoped-cache';
import { createTestCache, ManualClock } from 'nestjs-scoped-cache/testing';
import { MUTATIONS, type Mutation } from './mutations.js';
import { PLACES, type Place } from './places.js';
import { Race } from './race.js';
import { READS, type Read } from './reads.js';

/** More by hand: RACE_RUNS=20000 npm test -- test/race */
const RUNS = Number(process.env['RACE_RUNS'] ?? 120);
/** The same runs again: RACE_SEED=…; one failure again: also RACE_PATH=… as fast-check printed it, with -t for the case. */
const REPLAY = {
  ...(process.env['RACE_SEED'] && { seed: Number(process.env['RACE_SEED']) }),
  ...(process.env['RACE_PATH'] && { path: process.env['RACE_PATH'] }),
};

/** What a case makes its caches of. */
export interface Surroundings {
  readonly scheduler: Scheduler;
  readonly clock: ManualClock;
  /** From 0 up to, but not including, 1; the same in every replay. */
  readonly random: () => number;
  /** A cache on this clock, with the settings of all races. */
  open(options: CacheOptions): Cache;
}

const IDLE = { keysInUse: 0, keysLeased: 0, fillsUnderWay: 0 };

/** A setting to race in. */
export interface RaceCase {
  open(surroundings: Surroundings): readonly Cache[] | Promise<readonly Cache[]>;
  readonly mutations?: readonly Mutation[];
  readonly reads?: readonly Read[];
  /** How long a change may take to reach another cache. */
  readonly spreadMs?: number;
  /** Closes what the caches do not. */
  close?(): unknown;
  /** Whatever made calls fail or messages get lost stops. */
  recover?(): void;
}

/** By name, so that a failure can be read. */
type Step = readonly [read: Read, place: string];
interface Script {
  readonly seed: number;
  readonly writers: readonly (readonly string[])[];
  readonly readers: readonly (readonly Step[])[];
}

/** Where most of it happens, so that much of it meets. */
const FOCUS = PLACES[0]!;

function scripts({ mutations = MUTATIONS, reads = READS }: RaceCase): fc.Arbitrary<Script> {
  const nearby = mutations.filter(({ affects }) => affects.includes(FOCUS));
  const step = fc.tuple(fc.constantFrom(...reads), mostly([FOCUS], PLACES).map(idOf));
  const writer = fc.array(mostly(nearby, mutations).map(nameOf), { minLength: 1, maxLength: 5 });
  return fc.record({
    seed: fc.nat(),
    // Most races have one writer: what overlaps with another write is allowed more.
    writers: fc.oneof(
      { weight: 3, arbitrary: fc.array(writer, { minLength: 1, maxLength: 1 }) },
      { weight: 1, arbitrary: fc.array(writer, { minLength: 2, maxLength: 3 }) },
    ),
    readers: fc.array(fc.array(step, { maxLength: 5 }), { minLength: 1, maxLength: 4 }),
  });
}

/** Random scripts under random interleavings, and no value that is too old in any of them. Fails with seed and path. */
export function findsNoOlderValue(makeCase: () => RaceCase): () => Promise<void> {
  return () =>
    fc.assert(
      fc.asyncProperty(fc.scheduler(), scripts(makeCase()), (scheduler, script) =>
        runRace(scheduler, script, makeCase()),
      ),
      { numRuns: RUNS, ...REPLAY },
    );
}

async function runRace(scheduler: Scheduler, script: Script, raceCase: RaceCase): Promise<void> {
  const clock = new ManualClock();
  const random = numbersFrom(script.seed);
  const open = (options: CacheOptions): Cache =>
    createTestCache({ storageTimeout: '1h', ttl: 60, ...options }, { clock, platform: { random } });
  const caches = await raceCase.open({ scheduler, clock, random, open });
  const race = new Race(scheduler, clock, caches, raceCase.spreadMs ?? 0);
  const nodeOf = (index: number): number => index % caches.length;
  const inTurn = async (steps: (() => Promise<void>)[]): Promise<void> => {
    for (const step of steps) await step();
  };
  const idle = async (rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      await clock.advanceAsync(100);
      while (await hasMore(scheduler)) await scheduler.waitOne();
    }
  };
  await drive(
    scheduler,
    clock,
    Promise.all([
      ...script.writers.map((mutations, index) =>
        inTurn(mutations.map((name) => () => race.mutate(named(name), nodeOf(index)))),
      ),
      ...script.readers.map((steps, index) =>
        inTurn(
          steps.map(
            ([read, id]) =>
              () =>
                race.read(read, placed(id), nodeOf(index)),
          ),
        ),
      ),
    ]),
  );
  raceCase.recover?.();
  await idle(raceCase.recover ? 10 : 1);
  for (const node of caches.keys())
    await drive(
      scheduler,
      clock,
      inTurn(PLACES.map((place) => () => race.read('lookup stale', place, node))),
    );
  // Soft timeouts of callers that were answered by then, and what they left running.
  await idle(3);
  expect(race.violations).toEqual([]);
  expect(caches.map((cache) => cache.loadsUnderWay)).toEqual(caches.map(() => 0));
  for (const cache of caches) {
    const { keysInUse = 0, keysLeased = 0, fillsUnderWay = 0 } = cache.storage.figures?.() ?? {};
    expect({ keysInUse, keysLeased, fillsUnderWay }).toEqual(IDLE);
  }
  await drive(scheduler, clock, Promise.all(caches.map((cache) => cache.close())));
  await raceCase.close?.();
  expect(clock.pending).toBe(0);
}

/** Lets the scheduler choose, and the clock move on where nothing else does, until `work` is done. */
async function drive<T>(scheduler: Scheduler, clock: ManualClock, work: Promise<T>): Promise<T> {
  let isDone = false;
  const done = (): void => void (isDone = true);
  work.then(done, done);
  for (let idle = 0; idle < 1_000;) {
    const isMore = await hasMore(scheduler, () => isDone);
    if (isDone) return work;
    if (isMore) await scheduler.waitOne();
    else {
      idle++;
      await clock.advanceAsync(10);
    }
  }
  throw new Error('Somebody waits for what does not come.');
}

/** Whether anything waits for the scheduler, once all promise callbacks have run. */
async function hasMore(scheduler: Scheduler, isDone = (): boolean => false): Promise<boolean> {
  for (let turn = 0; turn < 50 && !isDone(); turn++) await Promise.resolve();
  return scheduler.count() > 0;
}

function mostly<T>(some: readonly T[], all: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom(...some) },
    { weight: 1, arbitrary: fc.constantFrom(...all) },
  );
}

const idOf = (place: Place): string => place.id;
const nameOf = (mutation: Mutation): string => mutation.name;
const named = (name: string): Mutation => MUTATIONS.find((mutation) => mutation.name === name)!;
const placed = (id: string): Place => PLACES.find((place) => place.id === id)!;

/** Mulberry32: enough for dice. */
function numbersFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
