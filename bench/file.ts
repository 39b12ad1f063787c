/**
 * The file storage beside a bare write-and-rename and a bare read, and beside its peers: a small nested object under 2,000
 * hot keys, awaited one by one and 16 at a time. Runs alternate; only the ratios travel.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BentoCache, bentostore } from 'bentocache';
import { fileDriver } from 'bentocache/drivers/file';
import { KeyvFile } from 'keyv-file';
import { open } from 'lmdb';
import { aes256Gcm } from 'nestjs-scoped-cache';
import { fileStorage } from 'nestjs-scoped-cache/file';
import { openCache } from './support/open-cache.js';
import {
  isQuick,
  measure,
  median,
  ratio,
  report,
  type Contender,
  type Floor,
  type Measured,
} from './support/measure.js';
import { snapshotBlocks } from './support/snapshot-blocks.js';

const KEYS = Array.from({ length: 2_000 }, (_, index) => `key:${index}`);
const USERS = Array.from({ length: 20 }, (_, index) => ({
  scope: { org: `org${index % 5}`, user: `user${index}` },
}));
const value = (index: number) => ({
  id: index,
  name: `name ${index}`,
  tags: ['a', 'b'],
  address: { city: 'x', zip: index },
});

const base = mkdtempSync(join(process.env['BENCH_FOLDER'] ?? tmpdir(), 'nsc-bench-'));
const bareFolder = join(base, 'bare');
mkdirSync(bareFolder);

const ours = await openCache({
  ttl: '1h',
  storage: fileStorage({ directory: join(base, 'ours') }),
  storageTimeout: '30s',
});
const sealed = await openCache({
  ttl: '1h',
  storage: fileStorage({
    directory: join(base, 'sealed'),
    encryption: aes256Gcm({ keys: { k: randomBytes(32) }, current: 'k' }),
  }),
  storageTimeout: '30s',
});
const bento = new BentoCache({
  default: 'f',
  stores: {
    f: bentostore().useL2Layer(
      fileDriver({ directory: join(base, 'bento'), pruneInterval: false }),
    ),
  },
});
const keyvFile = new KeyvFile({ filename: join(base, 'keyv.json'), writeDelay: 100 });
const lmdb = open({ path: join(base, 'lmdb') });

let temps = 0;
const bare = {
  path: (key: string) => join(bareFolder, key.replace(':', '-')),
  async set(key: string, what: object): Promise<void> {
    const temp = `${bare.path(key)}.${process.pid}.${temps++}`;
    await writeFile(temp, JSON.stringify(what));
    await rename(temp, bare.path(key));
  },
  get: async (key: string): Promise<unknown> =>
    JSON.parse(await readFile(bare.path(key), 'utf8')) as unknown,
};

for (const [index, key] of KEYS.entries()) {
  await ours.set(key, value(index));
  await ours.set(key, value(index), USERS[index % USERS.length]!);
  await sealed.set(key, value(index));
  await bare.set(key, value(index));
  await bento.set({ key, value: value(index) });
}
// Both wait for a timer or the disk with each call that is awaited.
await Promise.all(
  KEYS.flatMap((key, index) => [
    keyvFile.set(key, JSON.stringify(value(index))),
    lmdb.put(key, value(index)),
  ]),
);

/** Over all keys in turn, `width` at a time. */
function each(
  name: string,
  width: number,
  operation: (key: string, index: number) => unknown,
): Contender {
  return {
    name,
    async run(times) {
      let next = 0;
      const lane = async (): Promise<void> => {
        for (let at = next++; at < times; at = next++)
          await operation(KEYS[at % KEYS.length]!, at % KEYS.length);
      };
      await Promise.all(Array.from({ length: width }, lane));
    },
  };
}

const getsAt = (width: number) =>
  measure([
    each('ours', width, (key) => ours.get(key)),
    each('ours, user scope', width, (key, index) => ours.get(key, USERS[index % USERS.length]!)),
    each('ours, sealed', width, (key) => sealed.get(key)),
    each('bare', width, (key) => bare.get(key)),
    each('bentocache', width, (key) => bento.get({ key })),
    each('keyv-file', width, (key) => keyvFile.get(key)),
    each('lmdb', width, (key) => lmdb.get(key)),
  ]);
/**
 * Those that are compared by themselves: ext4 looks for a free inode past all that were removed in the same part of the disk within the last
 * seconds, so that each further contender there makes its neighbours' writes slower.
 */
const setsAt = async (width: number): Promise<Measured[]> => [
  ...(await measure([
    each('ours', width, (key, index) => ours.set(key, value(index))),
    each('bare', width, (key, index) => bare.set(key, value(index))),
    each('bentocache', width, (key, index) => bento.set({ key, value: value(index) })),
  ])),
  ...(await measure([
    each('ours, user scope', width, (key, index) =>
      ours.set(key, value(index), USERS[index % USERS.length]!),
    ),
    each('ours, sealed', width, (key, index) => sealed.set(key, value(index))),
    each('keyv-file', width, (key, index) => keyvFile.set(key, JSON.stringify(value(index)))),
    each('lmdb', width, (key, index) => lmdb.put(key, value(index))),
  ])),
];

/** Removals of live entries, 16 at a time, which are written again in between without being timed: the median of five rounds. */
async function removalsPerSecond(): Promise<number> {
  const speeds: number[] = [];
  for (let round = 0; round < 5; round++) {
    await Promise.all(KEYS.map((key, index) => ours.set(key, value(index))));
    const start = performance.now();
    await each('', 16, (key) => ours.delete(key)).run(KEYS.length);
    speeds.push((KEYS.length / (performance.now() - start)) * 1_000);
  }
  return Math.round(median(speeds));
}

const [gets, gets16, sets, sets16] = [
  await getsAt(1),
  await getsAt(16),
  await setsAt(1),
  await setsAt(16),
];
const removals = await removalsPerSecond();
const snapshot = await snapshotBlocks(isQuick ? 100_000 : 1_000_000);

/** What PocketCache publishes for its files. */
const POCKET_CACHE = { get: 10_000, set: 5_000, delete: 8_000 };
const speedOf = (all: readonly Measured[]): number => all[0]!.opsPerSecond;
const floors: Floor[] = [
  { what: 'get / bare read', floor: 0.9, reached: ratio(gets, 'ours', 'bare') },
  { what: 'get / bare read, 16 at a time', floor: 0.9, reached: ratio(gets16, 'ours', 'bare') },
  { what: 'set / bare write and rename', floor: 0.9, reached: ratio(sets, 'ours', 'bare') },
  {
    what: 'set / bare write and rename, 16 at a time',
    floor: 0.9,
    reached: ratio(sets16, 'ours', 'bare'),
  },
  { what: 'get / bentocache', floor: 1, reached: ratio(gets, 'ours', 'bentocache') },
  {
    what: '20 ms / the longest stop of a dump',
    floor: 1,
    reached: Math.round(2_000 / snapshot.dump.longest) / 100,
  },
  {
    what: 'get / s, 16 at a time',
    floor: POCKET_CACHE.get,
    reached: speedOf(gets16),
  },
  {
    what: 'set / s, 16 at a time',
    floor: POCKET_CACHE.set,
    reached: speedOf(sets16),
  },
  { what: 'delete / s, 16 at a time', floor: POCKET_CACHE.delete, reached: removals },
  { what: 'set / bentocache', floor: 1, reached: ratio(sets, 'ours', 'bentocache') },
  // It overwrites in place, which no write-and-rename is as fast as: see `bare` in the same rounds.
  {
    what: 'set / bentocache, 16 at a time',
    floor: 1,
    reached: ratio(sets16, 'ours', 'bentocache'),
  },
];
await ours.close();
await sealed.close();
await bento.disconnectAll();
await lmdb.close();
report('file', { gets, gets16, sets, sets16, removals, snapshot }, floors);
rmSync(base, { recursive: true, force: true });
process.exit();
