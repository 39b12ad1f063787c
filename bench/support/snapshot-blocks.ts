import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance, PerformanceObserver } from 'node:perf_hooks';
import { memoryStorage } from 'nestjs-scoped-cache';
import { withSnapshots } from 'nestjs-scoped-cache/file';
import { openCache } from './open-cache.js';

/** How long others had to wait for their turn while something ran, in ms. */
export interface Blocks {
  readonly seconds: number;
  readonly longest: number;
  readonly p999: number;
  /** The longest stop of the garbage collector in that time: part of `longest`, and nobody's doing here. */
  readonly longestCollection: number;
}

/** Dumps and restores so many small entries, and says how long the event loop stood still at a time. */
export async function snapshotBlocks(count: number): Promise<{ dump: Blocks; restore: Blocks }> {
  const folder = mkdtempSync(join(process.env['BENCH_FOLDER'] ?? tmpdir(), 'nsc-snapshot-'));
  const open = () =>
    openCache({
      ttl: '1h',
      storage: withSnapshots(memoryStorage({ maxEntries: 2 * count, maxBytes: Infinity }), {
        file: join(folder, 'cache.snap'),
        restore: false,
        onShutdown: false,
        every: 0,
      }),
    });
  const full = await open();
  for (let index = 0; index < count; index++)
    await full.set(`key:${index}`, { id: index, name: `name ${index}`, tags: ['a', 'b'] });
  globalThis.gc?.();
  const dump = await blocksOf(() => full.dump());
  await full.clear();
  const empty = await open();
  globalThis.gc?.();
  const restore = await blocksOf(async () => {
    const { restored } = await empty.restore();
    if (restored !== count) throw new Error(`${restored} of ${count} entries came back.`);
  });
  await full.close();
  await empty.close();
  rmSync(folder, { recursive: true, force: true });
  return { dump, restore };
}

/** Room for waits of up to a second, in tenths of ms, made beforehand: a list that grows by millions stops the loop itself. */
const TENTHS = 10_000;

async function blocksOf(work: () => Promise<unknown>): Promise<Blocks> {
  const waits = new Uint32Array(TENTHS);
  let turns = 0;
  let longest = 0;
  const collections: number[] = [0];
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) collections.push(duration);
  });
  observer.observe({ entryTypes: ['gc'] });
  let isOver = false;
  const start = performance.now();
  let before = start;
  const tick = (): void => {
    const now = performance.now();
    const wait = now - before;
    waits[Math.min(TENTHS - 1, Math.ceil(wait * 10))]!++;
    turns++;
    longest = Math.max(longest, wait);
    before = now;
    if (!isOver) setImmediate(tick);
  };
  setImmediate(tick);
  await work();
  const seconds = (performance.now() - start) / 1_000;
  isOver = true;
  await new Promise((resolve) => setTimeout(resolve, 20));
  observer.disconnect();
  const rounded = (ms: number): number => Math.round(ms * 10) / 10;
  return {
    seconds: rounded(seconds),
    longest: rounded(longest),
    p999: quantile(waits, turns * 0.999),
    longestCollection: rounded(Math.max(...collections)),
  };
}

/** In ms: so many of the waits were not longer. */
function quantile(waits: Uint32Array, rank: number): number {
  let passed = 0;
  return waits.findIndex((count) => (passed += count) >= rank) / 10;
}
