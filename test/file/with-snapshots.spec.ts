import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cache } from '../../lib/core/cache.js';
import type { CacheListener } from '../../lib/core/cache-listener.js';
import type { RestoreReport } from '../../lib/core/storage.js';
import { withSnapshots } from '../../lib/file.js';
import { memoryStorage } from '../../lib/storages/memory/index.js';
import { ManualClock } from '../../lib/testing/manual-clock.js';
import { makeCache } from '../support/make-cache.js';

describe('a memory storage with snapshots', () => {
  let folder: string;
  let clock: ManualClock;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nsc-snapshots-'));
    clock = new ManualClock();
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function start(options: object = {}, listener?: CacheListener): Promise<Cache> {
    const storage = withSnapshots(memoryStorage(), { file: join(folder, 'dump'), ...options });
    const cache = makeCache({ storage, ...(listener && { listener }) }, clock);
    await cache.ready();
    return cache;
  }

  it('SC-24 UD-24 P17: what was cached at shutdown is there after the restart, with what is left of its life', async () => {
    const before = await start();
    await before.set('k', new Map([[1, new Date(5)]]), {
      scope: { org: 'o' },
      ttl: 60,
      tags: ['t'],
    });
    await before.set('short', 1, { ttl: 5 });
    await before.close();
    clock.advance(10_000);

    const after = await start();
    expect(await after.get('k', { scope: { org: 'o' } })).toEqual(new Map([[1, new Date(5)]]));
    expect(await after.get('short')).toBeUndefined();
    expect(await after.evictTags('t')).toBe(1);
    clock.advance(50_000);
    expect(await after.get('k', { scope: { org: 'o' } })).toBeUndefined();
    await after.close();
  });

  it('P14: a second cache that would write the same file is refused, as long as the first one is open', async () => {
    const storage = withSnapshots(memoryStorage(), { file: join(folder, 'dump') });
    const main = makeCache({ storage }, clock);
    expect(() => makeCache({ storage, namespace: 'cache/reports' }, clock)).toThrow(
      /the caches with the namespaces "cache" and "cache\/reports" would both write .*dump/,
    );
    const again = makeCache({ storage }, clock);
    await Promise.all([main.close(), again.close()]);
    await makeCache({ storage, namespace: 'cache/reports' }, clock).close();
  });

  it('P14: what another cache has dumped is not brought back, and the report says so', async () => {
    const file = join(folder, 'dump');
    const open = (namespace: string): Cache =>
      makeCache({ storage: withSnapshots(memoryStorage(), { file }), namespace }, clock);
    const reports = open('reports');
    await reports.set('config', 'of reports');
    await reports.close();
    const orders = open('orders');
    expect(await orders.restore()).toMatchObject({ restored: 0, skipped: 1, damaged: 0 });
    expect(await orders.has('config')).toBe(false);
    await orders.close();
  });

  it('SC-28 SC-30: dumps start, stop and start again, and another interval replaces the timer', async () => {
    const cache = await start({ every: 0 });
    await cache.set('k', 1);
    expect(await cache.dump()).toBe(true);
    expect(await readdir(folder)).toContain('dump');
    cache.setAutoDumpInterval('1m');
    cache.startAutoDump();
    cache.stopAutoDump();
    cache.startAutoDump();
    cache.setAutoDumpInterval(0);
    await cache.close();
    expect(clock.pending).toBe(0);
  });

  it('onShutdown: false writes nothing at the end, restore: false brings nothing back', async () => {
    const first = await start({ onShutdown: false });
    await first.set('k', 1);
    await first.close();
    expect(await readdir(folder)).toEqual([]);
    const second = await start();
    await second.set('k', 1);
    await second.close();
    const third = await start({ restore: false, onShutdown: false });
    expect(await third.get('k')).toBeUndefined();
    expect(await third.restore()).toMatchObject({ restored: 1 });
    expect(await third.get('k')).toBe(1);
    await third.close();
  });

  it('SC-25 the listener is told at the start which snapshot was used and what came of it', async () => {
    const reports: RestoreReport[] = [];
    const listener = { onRestore: (report: RestoreReport) => void reports.push(report) };
    const before = await start({}, listener);
    await before.set('k', 1);
    await before.set('short', 1, { ttl: 5 });
    const dumpedAt = clock.now();
    await before.close();
    clock.advance(10_000);
    await (await start({}, listener)).close();
    const counts = { restored: 0, expired: 0, skipped: 0, damaged: 0 };
    expect(reports).toEqual([
      { ...counts, file: undefined, dumpedAt: undefined },
      { ...counts, file: join(folder, 'dump'), dumpedAt, restored: 1, expired: 1 },
    ]);
  });

  it.each<[string, () => unknown, RegExp]>([
    ['no options', () => withSnapshots(memoryStorage(), undefined as never), /expected an object/],
    ['a typo', () => withSnapshots(memoryStorage(), { fille: 'x' } as never), /option "fille"/],
    ['no file', () => makeCache({ storage: withSnapshots(memoryStorage(), {} as never) }), /file/],
    ['no storage', () => withSnapshots({} as never, { file: 'x' }), /such as memoryStorage/],
    [
      'no flag',
      () => withSnapshots(memoryStorage(), { file: 'x', restore: 'never' as never }),
      /restore: expected true or false, got "never"/,
    ],
  ])('wrong options are refused: %s', (_, make, message) => expect(make).toThrow(message));

  it('a cache without snapshots says what to use', async () => {
    await expect(makeCache({}, clock).dump()).rejects.toThrow(/withSnapshots/);
  });
});
