import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance, PerformanceObserver } from 'node:perf_hooks';
import { memoryStorage } from 'nestjs-scoped-cache';
import { withSnapshots } from 'nestjs-scoped-cache/file';
import { createTestCache } from 'nestjs-scoped-cache/testing';

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
    createTestCache({
      ttl: '1h',
      storage: withSnapshots(memoryStorage({ maxEntries: 2 * count, maxBytes: Infinity }), {
        file: join(folder, 'cache.snap'),
        restore: false,
        onShutdown: false,
        every: 0,
      }),
    });
  const full = open();
  for (let index = 0; index < count; index++)
    await full.set(`key:${index}`, { id: index, name: `name ${index}`, tags: ['a', 'b'] });
  globalThis.gc?.();
  const dump = await blocksOf(() => full.dump());
  await full.clear();
  const empty = open();
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

async function blocksOf(work: () => Promise<unknown>): Promise<Blocks> {
  const waits: number[] = [];
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
    waits.push(now - before);
    before = now;
    if (!isOver) setImmediate(tick);
  };
  setImmediate(tick);
  await work();
  const seconds = (performance.now() - start) / 1_000;
  isOver = true;
  await new Promise((resolve) => setTimeout(resolve, 20));
  observer.disconnect();
  waits.sort((one, other) => one - other);
  const rounded = (ms: number): number => Math.round(ms * 10) / 10;
  return {
    seconds: rounded(seconds),
    longest: rounded(waits.at(-1)!),
    p999: rounded(waits[Math.floor(waits.length * 0.999)]!),
    longestCollection: rounded(Math.max(...collections)),
  };
}
