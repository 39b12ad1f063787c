import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** One thing to time: runs its operation `times` times, awaited one by one or as it needs. */
export interface Contender {
  readonly name: string;
  run(times: number): Promise<unknown> | unknown;
}

/** What came out for one contender: operations per second, the median over the rounds. */
export interface Measured {
  readonly name: string;
  readonly opsPerSecond: number;
  readonly rounds: readonly number[];
}

export const isQuick = process.argv.includes('--quick');

/**
 * Times contenders in alternating rounds, so that whatever else the machine does hits all of them alike, and reports
 * medians. Only ratios within one run mean anything.
 *
 * Garbage is collected before each round, so that nobody pays for another's. `collects: false` is for rounds of a few
 * milliseconds, most of which nothing interrupts, and for whole servers and clients with their network, where a forced
 * collection also throws away what the engine has learned of their objects, which no program does to itself.
 */
export async function measure(
  contenders: readonly Contender[],
  options: { rounds?: number; ms?: number; collects?: boolean } = {},
): Promise<Measured[]> {
  const rounds = isQuick ? 3 : (options.rounds ?? 7);
  const ms = isQuick ? 60 : (options.ms ?? 150);
  const times = new Map<string, number>();
  for (const one of contenders) times.set(one.name, await calibrate(one, ms));
  const results = new Map<string, number[]>(contenders.map((one) => [one.name, []]));
  for (let round = 0; round < rounds; round++)
    for (const one of contenders) {
      if (options.collects !== false) globalThis.gc?.();
      const count = times.get(one.name)!;
      const start = performance.now();
      await one.run(count);
      results.get(one.name)!.push((count / (performance.now() - start)) * 1_000);
    }
  return contenders.map(({ name }) => ({
    name,
    opsPerSecond: Math.round(median(results.get(name)!)),
    rounds: results.get(name)!.map(Math.round),
  }));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** `name`'s speed as a multiple of `other`'s. */
export function ratio(measured: readonly Measured[], name: string, other: string): number {
  const of = (wanted: string): number => measured.find((one) => one.name === wanted)!.opsPerSecond;
  return Math.round((of(name) / of(other)) * 100) / 100;
}

/**
 * {@link ratio} as the median over the rounds of the ratios within each round. For differences of a few per cent: what slows
 * the machine down for seconds slows both.
 */
export function pairedRatio(measured: readonly Measured[], name: string, other: string): number {
  const of = (wanted: string): readonly number[] =>
    measured.find((one) => one.name === wanted)!.rounds;
  const ratios = of(name).map((speed, round) => speed / of(other)[round]!);
  return Math.round(median(ratios) * 1_000) / 1_000;
}

/** A floor that an issue sets, and what was reached. */
export interface Floor {
  readonly what: string;
  readonly floor: number;
  readonly reached: number;
}

/** Prints the report and keeps it in bench/results. */
export function report(
  name: string,
  body: Record<string, unknown>,
  floors: readonly Floor[],
): void {
  const whole = {
    bench: name,
    node: process.version,
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    quick: isQuick,
    ...body,
    floors,
  };
  mkdirSync('results', { recursive: true });
  writeFileSync(`results/${name}.json`, `${JSON.stringify(whole, null, 2)}\n`);
  console.log(JSON.stringify(whole, null, 2));
  for (const { what, floor, reached } of floors)
    console.error(`${reached >= floor ? 'ok  ' : 'MISS'} ${what}: ${reached} (floor ${floor})`);
}

async function calibrate(one: Contender, ms: number): Promise<number> {
  let times = 100;
  for (;;) {
    const start = performance.now();
    await one.run(times);
    const took = performance.now() - start;
    if (took >= ms / 4) return Math.max(10, Math.round((times * ms) / took));
    times *= 2;
  }
}
