import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize } from 'node:v8';
import { inspectSnapshot, readSnapshot } from 'nestjs-scoped-cache/file';
import { compileLib } from '../../support/file/compile.js';
import { isRoot, killAtCall, runWorker } from '../../support/file/processes.js';
import { at, collect, entry, Folder } from '../../support/file/store.js';
import { findProgram } from '../../support/programs.js';

/** How many times a process is killed: 20 and more in `npm test`, 240 in `node test/file/crash-long.mjs`. */
const ROUNDS = Number(process.env['CRASH_ROUNDS'] ?? 24);
/** Kept until last: a write has some ten calls, a dump some twenty. */
const CALLS_MAX = 60;

let lib: string;
let folder: Folder;
let directory: string;
beforeAll(() => {
  findProgram('strace');
  lib = compileLib();
  chmodSync(lib, 0o755);
});
afterAll(() => rmSync(lib, { recursive: true, force: true }));
beforeEach(() => {
  folder = new Folder();
  directory = join(folder.path, 'cache');
});
afterEach(() => folder.remove());

describe('P15 UD-29 kill -9 at every system call', () => {
  it(`P15 of a write: the state before or after, whole, and nothing that is in the way of the next (${ROUNDS} rounds)`, async () => {
    const seen = { 1: 0, 2: 0 };
    let kills = 0;
    for (let round = 0, call = 1; kills < ROUNDS; round++, call++) {
      const store = folder.store();
      await store.write(at('k'), entry({ version: 1 }));
      await store.close();
      const wasKilled = await killAtCall(
        lib,
        ['write', directory, 'k', '9000', JSON.stringify({ durable: round % 2 === 1 })],
        call,
      );
      const after = folder.store();
      const { version } = (await after.read(at('k')))!.value as { version: 1 | 2 };
      seen[version]++;
      await after.write(at('k'), entry({ version: 3 }));
      expect((await after.read(at('k')))?.value).toEqual({ version: 3 });
      await after.close();
      if (wasKilled) kills++;
      else call = 0;
      if (call > CALLS_MAX) call = 0;
    }
    expect(seen[1]).toBeGreaterThan(0);
    expect(seen[2]).toBeGreaterThan(0);
    const last = folder.store();
    await last.parts.sweeper.start();
    await last.parts.sweeper.whenIdle();
    expect(
      readdirSync(directory, { recursive: true }).filter((name) => String(name).endsWith('.tmp')),
    ).toEqual([]);
    expect(readdirSync(last.parts.layout.slots)).toEqual([]);
    expect(readdirSync(last.parts.layout.corrupt)).toEqual([]);
  }, 600_000);

  it(`P15 SC-21 of a dump: the snapshot before or after, whole (${ROUNDS} rounds)`, async () => {
    const file = join(folder.path, 'cache.snap');
    expect((await runWorker(lib, ['dump', file, '50', '1'])).lines).toContain('dump ok');
    let kills = 0;
    for (let call = 1; kills < ROUNDS; call++) {
      const wasKilled = await killAtCall(lib, ['dump', file, '3000'], call);
      const state = await inspectSnapshot(file);
      const [first] = await collect(readSnapshot(file));
      const { version } = deserialize(first!) as { version: number };
      expect({ ...state, dumpedAt: 0 }).toEqual({
        isWhole: true,
        dumpedAt: 0,
        count: version === 1 ? 50 : 3_000,
        damaged: 0,
      });
      if (wasKilled) kills++;
      else call = 0;
    }
    expect((await runWorker(lib, ['dump', file, '50', '3'])).lines).toContain('dump ok');
    expect(readdirSync(folder.path).sort()).toEqual(
      ['cache.snap', 'cache.snap.1', 'cache.snap.2'].filter((name) =>
        readdirSync(folder.path).includes(name),
      ),
    );
  }, 600_000);
});

describe('P15 RELIABILITY 2.4 faults: the old state stays readable, the fault is reported', () => {
  const inNamespace = ['unshare', isRoot ? '-m' : '-Urm', 'sh', '-c'];

  it('full disk', async () => {
    mkdirSync(directory, { mode: 0o700 });
    const mount = `mount -t tmpfs -o size=256k,mode=700 tmpfs ${directory} && exec "$@"`;
    const { lines, stderr } = await runWorker(
      lib,
      ['fill', directory, '600000'],
      [...inNamespace, mount, 'sh'],
    );
    if (/unshare|mount/.test(stderr))
      throw new Error(
        `This test needs a mount namespace (root, or user namespaces enabled): ${stderr}`,
      );
    expect(lines).toEqual([
      'open',
      'write ENOSPC',
      'reads 1',
      'close ok',
      'open',
      'dump ok',
      'open',
      'dump ENOSPC',
      'snapshot 1',
      'left 0',
    ]);
  }, 30_000);

  (isRoot ? it : it.skip)(
    'PC-27 a read-only folder, as nobody (needs root to become nobody)',
    async () => {
      const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
      chmodSync(folder.path, 0o755);
      mkdirSync(directory, { mode: 0o700 });
      chownSync(directory, 65_534, 65_534);
      const first = await runWorker(lib, ['write', directory, 'k', '10'], nobody);
      expect(first.lines).toEqual(['open', 'write ok', 'reads 2', 'close ok']);
      const folders = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(
        (item) => item.isDirectory(),
      );
      for (const item of folders) chmodSync(join(item.parentPath, item.name), 0o500);
      chmodSync(directory, 0o500);
      const second = await runWorker(lib, ['write', directory, 'k', '20'], nobody);
      expect(second.lines).toEqual(['open', 'write EACCES', 'reads 2', 'close ok']);
    },
    30_000,
  );

  it('EIO on fsync, of a durable write and of a dump', async () => {
    await folder.store().write(at('k'), entry({ version: 1 }));
    const failing = [
      'strace',
      '-f',
      '-o',
      '/dev/null',
      '-e',
      'trace=fsync',
      '-e',
      'inject=fsync:error=EIO',
    ];
    const write = await runWorker(
      lib,
      ['write', directory, 'k', '10', '{"durable":true}'],
      failing,
    );
    expect(write.lines).toEqual(['open', 'write EIO', 'reads 1', 'close ok']);
    const file = join(folder.path, 'cache.snap');
    await runWorker(lib, ['dump', file, '5', '1']);
    const dump = await runWorker(lib, ['dump', file, '9', '2'], failing);
    expect(dump.lines).toEqual(['open', 'dump EIO']);
    expect(await inspectSnapshot(file)).toMatchObject({ isWhole: true, count: 5 });
    expect(readdirSync(folder.path).sort()).toEqual(['cache', 'cache.snap']);
  }, 30_000);

  describe('a file system without hard links (FAT, some network shares)', () => {
    const without = ['link', 'linkat'].flatMap((call) => ['-e', `inject=${call}:error=EPERM`]);
    const onIt = ['strace', '-f', '-o', '/dev/null', '-e', 'trace=link,linkat', ...without];

    it('SC-23 keeps backups of snapshots as copies', async () => {
      const file = join(folder.path, 'cache.snap');
      for (const count of ['5', '7', '9', '11'])
        expect((await runWorker(lib, ['dump', file, count], onIt)).lines).toEqual([
          'open',
          'dump ok',
        ]);
      const files = [file, `${file}.1`, `${file}.2`];
      const states = await Promise.all(files.map((one) => inspectSnapshot(one)));
      expect(states.map(({ isWhole, count }) => ({ isWhole, count }))).toEqual([
        { isWhole: true, count: 11 },
        { isWhole: true, count: 9 },
        { isWhole: true, count: 7 },
      ]);
      expect(readdirSync(folder.path)).toHaveLength(3);
      for (const one of files) expect(statSync(one).mode & 0o777).toBe(0o600);
    }, 60_000);

    it('is refused by the file storage at the start, which says what to do', async () => {
      const { code, stderr } = await runWorker(lib, ['write', directory, 'k', '10'], onIt);
      expect(code).not.toBe(0);
      expect(stderr).toMatch(/without hard links .* choose another folder/);
    }, 30_000);
  });

  it('no more descriptors', async () => {
    const { lines } = await runWorker(
      lib,
      ['exhaust', directory],
      ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'],
    );
    expect(lines).toEqual(['EMFILE', 'read EMFILE', 'write EMFILE', 'reads 1', 'write ok']);
  }, 30_000);
});
