import { seeded, sleep, workerFaults } from './faults.js';
import { now, SoakWorker, type IdleReport, type WorkerPlan } from './fleet.js';
import { History } from './history.js';
import { WORKERS, type SoakPlace } from './places.js';

/** Workers report that often, and a little later. */
const UNKNOWN_MS = 400;

export interface SoakOptions {
  readonly place: SoakPlace;
  readonly dist: string;
  readonly seed: number;
  readonly ms: number;
  readonly onStorageError: 'throw' | 'degrade';
  /** Only faults whose names match. Default: all that must break no promise. */
  readonly faults: RegExp | undefined;
  /** What the machine may add to a deadline. */
  readonly slackMs: number;
}

export interface SoakOutcome {
  readonly options: SoakOptions;
  readonly history: History;
  readonly unhandled: readonly string[];
  readonly idle: readonly IdleReport[];
  /** From the end of `close` to the end of the process, in ms; or why it did not end. */
  readonly exits: readonly (number | string)[];
  readonly closes: readonly number[];
}

/** Starts the fleet, does things to it, and lets it end by itself. */
export async function soak(options: SoakOptions): Promise<SoakOutcome> {
  const history = new History();
  const random = seeded(options.seed);
  const unhandled: string[] = [];
  let started = 0;
  const start = (index: number): Promise<SoakWorker> =>
    SoakWorker.start(planOf(options, index, started++), history);
  const workers = await Promise.all(Array.from({ length: WORKERS }, (_, index) => start(index)));
  const replace = async (index: number): Promise<void> => {
    unhandled.push(...workers[index]!.unhandled);
    workers[index] = await start(index);
  };
  const all = [...options.place.faults, ...workerFaults(workers, replace)];
  const faults = all.filter(({ name, breaksPromises }) =>
    options.faults ? options.faults.test(name) : !breaksPromises,
  );
  try {
    const end = now() + options.ms;
    const calmMs = Math.min(4_000, options.ms / 6);
    await sleep(calmMs);
    // Each once in a random order, then again.
    for (let left = [...faults]; now() < end - calmMs && faults.length > 0;) {
      const [fault] = left.splice(Math.floor(random() * left.length), 1);
      if (left.length === 0) left = [...faults];
      // What a killed process did last is not known.
      const window = { fault: fault!.name, start: now() - UNKNOWN_MS, end: Infinity };
      history.faults.push(window);
      await fault!.run(random);
      window.end = now();
      await sleep(calmMs / 2 + random() * calmMs);
    }
    await sleep(calmMs);
    const exits = await Promise.all(
      workers.map((worker) => worker.finish().catch((error: unknown) => String(error))),
    );
    return {
      options,
      history,
      unhandled: [...unhandled, ...workers.flatMap((worker) => worker.unhandled)],
      idle: workers.flatMap(({ idle }) => idle ?? []),
      exits,
      closes: workers.flatMap(({ closeMs }) => closeMs ?? []),
    };
  } finally {
    await Promise.all(workers.map((worker) => worker.kill()));
  }
}

function planOf(options: SoakOptions, index: number, number: number): WorkerPlan {
  return {
    dist: options.dist,
    name: `p${number}`,
    seed: options.seed + number * 7_919,
    storage: options.place.storage,
    onStorageError: options.onStorageError,
    callers: 6,
    pauseMs: 8,
    idleMs: Math.min(3_000, options.ms / 6),
    ...options.place.reach(index),
  };
}
