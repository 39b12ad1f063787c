/**
 * Would an embedded engine serve better than plain files? lmdb beside the file storage and a bare write-and-rename, with
 * the settings that wait least for the disk, awaited one by one and 16 at a time. Then what becomes of a process that reads
 * a damaged database: bits flipped in the heads of pages, and the file cut off. Decision 0029 has the answer.
 */
import { fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open, type RootDatabaseOptionsWithPath } from 'lmdb';
import { fileStorage } from 'nestjs-scoped-cache/file';
import { createTestCache } from 'nestjs-scoped-cache/testing';
import { isQuick, measure, ratio, report, type Contender } from './support/measure.js';

const KEYS = Array.from({ length: 2_000 }, (_, index) => `key:${index}`);
const value = (index: number) => ({
  id: index,
  name: `name ${index}`,
  tags: ['a', 'b'],
  address: { city: 'x', zip: index },
});
const SAMPLE = Buffer.alloc(300, 7);
const PAGE_BYTES = 4_096;

if (process.argv[2] === 'read-damaged') await readDamaged(process.argv[3]!);
else await main();

async function main(): Promise<void> {
  const base = mkdtempSync(join(process.env['BENCH_FOLDER'] ?? tmpdir(), 'nsc-lmdb-'));
  const ours = createTestCache({
    ttl: '1h',
    storage: fileStorage({ directory: join(base, 'ours') }),
    storageTimeout: '30s',
  });
  const engines = {
    'lmdb, as it comes': {},
    'lmdb, noSync': { noSync: true },
    'lmdb, noSync, no delays': { noSync: true, commitDelay: 0, eventTurnBatching: false },
  } satisfies Record<string, Omit<RootDatabaseOptionsWithPath, 'path'>>;
  const databases = Object.entries(engines).map(
    ([name, options]) => [name, open({ path: join(base, name), ...options })] as const,
  );
  const bare = join(base, 'bare');
  mkdirSync(bare);
  let temps = 0;
  const setBare = async (key: string, index: number): Promise<void> => {
    const temp = join(bare, `${key}.${temps++}`);
    await writeFile(temp, JSON.stringify(value(index)));
    await rename(temp, join(bare, key));
  };
  for (const [index, key] of KEYS.entries()) {
    await ours.set(key, value(index));
    await Promise.all(databases.map(([, database]) => database.put(key, value(index))));
  }
  const at = async (width: number) => ({
    sets: await measure([
      each('files', width, (key, index) => ours.set(key, value(index))),
      each('bare', width, setBare),
      ...databases.map(([name, database]) =>
        each(name, width, (key, index) => database.put(key, value(index))),
      ),
    ]),
    gets: await measure([
      each('files', width, (key) => ours.get(key)),
      ...databases.map(([name, database]) => each(name, width, (key) => database.get(key))),
    ]),
  });
  const [one, sixteen] = [await at(1), await at(16)];
  await ours.close();
  for (const [, database] of databases) await database.close();
  const damage = await damaged(base);
  rmSync(base, { recursive: true, force: true });
  const timesFiles = Object.fromEntries(
    Object.keys(engines).map((name) => [
      name,
      {
        set: ratio(one.sets, name, 'files'),
        set16: ratio(sixteen.sets, name, 'files'),
        get: ratio(one.gets, name, 'files'),
        get16: ratio(sixteen.gets, name, 'files'),
      },
    ]),
  );
  report('lmdb', { one, sixteen, timesFiles, damage }, []);
  process.exit();
}

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

/** How processes end that use a database somebody damaged, counted. */
async function damaged(base: string): Promise<Record<string, number>> {
  const folder = join(base, 'good');
  const database = open({ path: folder, encoding: 'binary' });
  for (const key of KEYS.slice(0, 500)) await database.put(key, SAMPLE);
  await database.close();
  const good = readFileSync(join(folder, 'data.mdb'));
  const ends: Record<string, number> = {};
  const rounds = isQuick ? 10 : 40;
  for (let round = 0; round < rounds; round++) {
    const flipped = Buffer.from(good);
    const page = Math.floor((good.length / PAGE_BYTES) * (round / rounds));
    flipped[page * PAGE_BYTES + ((round * 7) % 64)]! ^= 1 << (round % 8);
    count(ends, `bit flipped: ${await endOf(base, flipped)}`);
    const cut = good.subarray(0, Math.floor((good.length * (round + 1)) / (rounds + 1)));
    count(ends, `cut off: ${await endOf(base, cut)}`);
  }
  return ends;
}

function count(ends: Record<string, number>, end: string): void {
  ends[end] = (ends[end] ?? 0) + 1;
}

function endOf(base: string, bytes: Uint8Array): Promise<string> {
  const folder = join(base, 'damaged');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  writeFileSync(join(folder, 'data.mdb'), bytes);
  return new Promise((resolve) => {
    const child = fork(fileURLToPath(import.meta.url), ['read-damaged', folder], { silent: true });
    const stop = setTimeout(() => child.kill('SIGKILL'), 10_000);
    child.on('exit', (code, signal) => {
      clearTimeout(stop);
      resolve(signal ?? (code === 0 ? 'all there' : 'values missing, or an error'));
    });
  });
}

async function readDamaged(path: string): Promise<void> {
  const database = open<Buffer>({ path, encoding: 'binary' });
  let isWhole = true;
  for (const key of KEYS.slice(0, 500)) isWhole &&= database.get(key)?.equals(SAMPLE) === true;
  for (const { value: found } of database.getRange({})) isWhole &&= found.equals(SAMPLE);
  for (const key of KEYS.slice(0, 500)) await database.put(key, SAMPLE);
  await database.close();
  process.exit(isWhole ? 0 : 1);
}
