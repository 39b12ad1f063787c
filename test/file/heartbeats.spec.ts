import { statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Owners } from '../../lib/storages/file/owners.js';
import { writeIdentity, type ProcessIdentity } from '../../lib/storages/file/process-identity.js';
import { ManualClock } from '../../lib/testing/index.js';
import { Folder } from '../support/file/store.js';

const BEAT_MS = 15_000;
const HOUR_MS = 3_600_000;

let folder: Folder;
let clock: ManualClock;
let owners: Owners;
let other: ProcessIdentity;
let file: string;
beforeEach(() => {
  folder = new Folder();
  const { layout, files } = folder.store().parts;
  clock = new ManualClock();
  owners = new Owners(layout, files.folders.like, 'mine', clock);
  other = { id: '7-theirs', pid: 7, start: '1', space: 'another container' };
  file = join(layout.owners, other.id);
  writeFileSync(file, writeIdentity(other));
});
afterEach(async () => {
  await owners.close();
  await folder.remove();
});

/** Own beats go by the manual clock; each ends with a call to the system, after which the next one is armed. */
async function beat(times: number, theirs?: (nth: number) => void): Promise<void> {
  for (let nth = 0; nth < times; nth++) {
    const before = statSync(owners.file).mtimeMs;
    clock.advance(BEAT_MS);
    while (statSync(owners.file).mtimeMs === before || clock.pending === 0)
      await new Promise((resolve) => setImmediate(resolve));
    theirs?.(nth);
  }
}

/** The other one beats, on a clock of its own. */
const beatOf = (skewMs: number): void => {
  const seconds = (clock.now() + skewMs) / 1_000;
  utimesSync(file, seconds, seconds);
};

describe('a process whose pid cannot be looked up from here', () => {
  test.each([-HOUR_MS, -61_000, 0, 61_000, HOUR_MS])(
    'P9 lives as long as it beats, with a clock that differs by %d ms',
    async (skewMs) => {
      beatOf(skewMs);
      expect(await owners.isGone(other.id)).toBe(false);
      await beat(20, () => beatOf(skewMs));
      expect(await owners.isGone(other.id)).toBe(false);
    },
  );

  test('lives on when a clock is set, its own or ours', async () => {
    await owners.isGone(other.id);
    await beat(3, (nth) => beatOf(nth === 1 ? -HOUR_MS : 0));
    expect(await owners.isGone(other.id)).toBe(false);
    clock.jumpWallClock(24 * HOUR_MS);
    expect(await owners.isGone(other.id)).toBe(false);
  });

  test('lives on when all were stopped for long: whoever goes on first gives the others time to beat', async () => {
    await owners.isGone(other.id);
    await beat(2, () => beatOf(0));
    await owners.isGone(other.id);
    clock.advance(HOUR_MS);
    expect(await owners.isGone(other.id)).toBe(false);
  });

  test('is dead when it has said nothing new for more than a minute, since it was first met', async () => {
    expect(await owners.isGone(other.id)).toBe(false);
    await beat(5);
    expect(await owners.isGone(other.id)).toBe(false);
    await beat(1);
    expect(await owners.isGone(other.id)).toBe(true);
  });

  test('is not remembered after its file has gone', async () => {
    utimesSync(file, 1_000, 1_000);
    await owners.isGone(other.id);
    await folder.store().parts.gate.slots.reclaim(other.id);
    expect(await owners.ids()).not.toContain(other.id);
    writeFileSync(file, writeIdentity(other));
    utimesSync(file, 1_000, 1_000);
    await beat(6);
    expect(await owners.isGone(other.id)).toBe(false);
  });
});
