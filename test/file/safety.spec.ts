import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { isRoot } from '../support/file/processes.js';
import { at, entry, Folder, makeHost, scope } from '../support/file/store.js';

const ALICE = { org: 'o1', user: 'alice' };
let folder: Folder;
let canary: string;
beforeEach(() => {
  folder = new Folder();
  canary = join(folder.path, 'canary');
  writeFileSync(canary, 'untouched');
});
afterEach(() => folder.remove());

describe('RELIABILITY 1.7 links planted beforehand', () => {
  it('P15 the directory itself: refused, with the reason', () => {
    mkdirSync(join(folder.path, 'real'));
    symlinkSync(join(folder.path, 'real'), join(folder.path, 'cache'));
    expect(() => folder.store()).toThrow(/symbolic link.*name the folder itself/);
    expect(() => folder.store({ directory: `${join(folder.path, 'cache')}/` })).toThrow(
      /symbolic link/,
    );
  });

  it('P15 an entry: a miss, set aside and reported; a write replaces the link, not its target', async () => {
    const host = makeHost();
    const store = folder.store({}, host);
    const { path, folder: part } = store.parts.layout.placeOf(at('k'));
    mkdirSync(part, { mode: 0o700 });
    symlinkSync(canary, path);
    expect(await store.read(at('k'))).toBeUndefined();
    expect(host.listener.faults[0]!.error).toHaveProperty(
      'message',
      expect.stringMatching(/is now/),
    );
    symlinkSync(canary, path);
    await store.write(at('k'), entry(1));
    expect((await store.read(at('k')))?.value).toBe(1);
    expect(readFileSync(canary, 'utf8')).toBe('untouched');
  });

  it.each(['entry', 'lease'] as const)(
    'P15 a pipe in place of the %s: a miss, nothing waits for it',
    async (what) => {
      const host = makeHost();
      const store = folder.store({}, host);
      await store.write(at('k'), entry('mine'));
      const { path, lease } = store.parts.layout.placeOf(at('k'));
      unlinkSync(path);
      execFileSync('mkfifo', [what === 'entry' ? path : lease]);
      expect(await store.read(at('k'))).toBeUndefined();
      expect(host.listener.faults).toHaveLength(what === 'entry' ? 1 : 0);
      const answer = await store.leases.acquire(at('k'), 60_000);
      if (answer.kind !== 'leased') throw new Error(answer.kind);
      expect(await store.leases.store(answer.lease, entry('loaded'))).toBe(true);
      expect((await store.read(at('k')))?.value).toBe('loaded');
      expect(await store.evictTags(scope(), ['t'])).toBe(0);
    },
  );

  it('P15 the next temporary files: passed over', async () => {
    const store = folder.store();
    const { layout, owners } = store.parts;
    const part = layout.placeOf(at('k')).folder;
    mkdirSync(part, { mode: 0o700 });
    for (let n = 0; n < 3; n++) symlinkSync(canary, join(part, `${owners.me.id}.${n}.tmp`));
    await store.write(at('k'), entry(1));
    expect((await store.read(at('k')))?.value).toBe(1);
    expect(readFileSync(canary, 'utf8')).toBe('untouched');
  });

  it('P15 a scope folder: set aside, nothing written through it', async () => {
    const store = folder.store();
    const elsewhere = join(folder.path, 'elsewhere');
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, store.parts.layout.folderOf(scope({ org: 'o1' })));
    await store.write(at('k', ALICE), entry(1));
    expect((await store.read(at('k', ALICE)))?.value).toBe(1);
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  it('P15 a part of the global scope: set aside, nothing written through it', async () => {
    const store = folder.store();
    const elsewhere = join(folder.path, 'elsewhere');
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, store.parts.layout.placeOf(at('k')).folder);
    await store.write(at('k'), entry(1));
    expect((await store.read(at('k')))?.value).toBe(1);
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  it('P15 a slot: the write is refused in time, the target stays', async () => {
    const store = folder.store({ lockTimeout: '100ms' });
    const { layout } = store.parts;
    symlinkSync(canary, join(layout.slots, layout.placeOf(at('k')).slot));
    await expect(store.write(at('k'), entry(1))).rejects.toThrow(/has held .* remove that file/);
    expect(readFileSync(canary, 'utf8')).toBe('untouched');
    unlinkSync(join(layout.slots, layout.placeOf(at('k')).slot));
    await store.write(at('k'), entry(1));
  });

  it('P14 PC-24 clear and evictions follow no link and leave foreign files alone', async () => {
    const store = folder.store();
    const { layout, trash } = store.parts;
    await store.write(at('k', ALICE), entry(1));
    const target = join(folder.path, 'target');
    mkdirSync(target);
    writeFileSync(join(target, 'a'.repeat(40)), 'untouched');
    symlinkSync(target, join(layout.folderOf(scope(ALICE)), `s${'a'.repeat(39)}`));
    symlinkSync(join(target, 'a'.repeat(40)), join(layout.folderOf(scope(ALICE)), 'b'.repeat(40)));
    writeFileSync(join(folder.path, 'cache', 'foreign.txt'), 'untouched');
    await store.clear();
    await trash.whenIdle();
    expect(await store.count(scope())).toBe(0);
    expect(readFileSync(join(target, 'a'.repeat(40)), 'utf8')).toBe('untouched');
    expect(existsSync(join(folder.path, 'cache', 'foreign.txt'))).toBe(true);
  });
});

describe('folders', () => {
  it('PC-20 UD-27 made with everything above it, or refused when that is not wanted', () => {
    expect(() => folder.store({ createDirectory: false })).toThrow(
      /does not exist and createDirectory is false/,
    );
    folder.store({ directory: join(folder.path, 'a/b/c') });
    expect(statSync(join(folder.path, 'a/b/c')).mode & 0o777).toBe(0o700);
  });

  it('P15 writable by others: refused, saying what to do', () => {
    mkdirSync(join(folder.path, 'cache'));
    chmodSync(join(folder.path, 'cache'), 0o777);
    expect(() => folder.store()).toThrow(/other users \(mode 777\); run chmod go-w/);
    chmodSync(join(folder.path, 'cache'), 0o720);
    expect(() => folder.store()).toThrow(/mode 720/);
  });

  (isRoot ? it : it.skip)("P15 another user's: refused (needs root to set up)", () => {
    mkdirSync(join(folder.path, 'cache'), { mode: 0o700 });
    chownSync(join(folder.path, 'cache'), 65_534, 65_534);
    expect(() => folder.store()).toThrow(/belongs to user 65534/);
  });

  it.each([0o000, 0o022, 0o077, 0o777])('PC-19 modes are exact under umask %s', async (umask) => {
    const before = process.umask(umask);
    try {
      const store = folder.store({ directoryMode: 0o750, fileMode: 0o640 });
      await store.write(at('k', ALICE), entry(1));
      const place = store.parts.layout.placeOf(at('k', ALICE));
      expect(statSync(place.path).mode & 0o777).toBe(0o640);
      for (const path of store.parts.layout.chainOf(place.folder))
        expect(statSync(path).mode & 0o777).toBe(0o750);
    } finally {
      process.umask(before);
    }
  });

  it('wrong options name the option, what was expected and what came', () => {
    expect(() => folder.store({ fileMode: 0o666 })).toThrow(/fileMode must be .* got 438/);
    expect(() => folder.store({ maxEntries: 0 })).toThrow(/maxEntries/);
    expect(() => folder.store({ sweepEvery: 0 })).toThrow(/sweepEvery/);
    expect(() => folder.store({ path: 'x' } as never)).toThrow(/unknown option "path"/);
    expect(() => folder.store({}, makeHost({ rules: [{ name: 'mine' }] }))).toThrow(
      /cannot keep the rules mine/,
    );
  });
});

describe('P15 UD-28 PC-26 damage is a miss', () => {
  it('P15 SC-42 a flipped bit at every offset: the true value or a miss, never a crash', async () => {
    const host = makeHost();
    const store = folder.store({}, host);
    const value = { name: 'true value', n: 7 };
    await store.write(at('k', ALICE), entry(value, { tags: ['t'] }));
    const { path } = store.parts.layout.placeOf(at('k', ALICE));
    const good = readFileSync(path);
    let misses = 0;
    for (let offset = 0; offset < good.length; offset++) {
      for (const bit of [1, 128]) {
        const bad = Buffer.from(good);
        bad[offset]! ^= bit;
        writeFileSync(path, bad);
        const read = await store.read(at('k', ALICE));
        if (read) expect(read.value).toEqual(value);
        else misses++;
      }
    }
    // The first eight bytes only say when the entry was last used.
    expect(misses).toBe((good.length - 8) * 2);
    expect(host.listener.faults.length).toBe(misses);
    expect(readdirSync(store.parts.layout.corrupt)).toHaveLength(16);
  });

  it('P15 truncated at every length, empty, and too long', async () => {
    const store = folder.store();
    await store.write(at('k'), entry('value'));
    const { path } = store.parts.layout.placeOf(at('k'));
    const good = readFileSync(path);
    for (let length = 0; length < good.length; length++) {
      writeFileSync(path, good);
      truncateSync(path, length);
      expect(await store.read(at('k'))).toBeUndefined();
    }
    writeFileSync(path, Buffer.concat([good, Buffer.from('x')]));
    expect(await store.read(at('k'))).toBeUndefined();
    await store.write(at('k'), entry('again'));
    expect((await store.read(at('k')))?.value).toBe('again');
  });

  it('P15 RELIABILITY 1.6 an entry moved or copied to another key, scope or cache is a miss there and counted nowhere', async () => {
    const store = folder.store();
    await store.write(at('secret', ALICE), entry('alice'));
    await store.write(at('secret', { org: 'o1', user: 'eve' }), entry('eve'));
    const from = store.parts.layout.placeOf(at('secret', ALICE)).path;
    copyFileSync(from, store.parts.layout.placeOf(at('secret', { org: 'o1', user: 'eve' })).path);
    copyFileSync(from, store.parts.layout.placeOf(at('other', ALICE)).path);
    expect(await store.count(scope())).toBe(1);
    expect(await store.read(at('secret', { org: 'o1', user: 'eve' }))).toBeUndefined();
    expect(await store.read(at('other', ALICE))).toBeUndefined();
    expect((await store.read(at('secret', ALICE)))?.value).toBe('alice');
  });

  it('P15 a file of a newer version is a miss', async () => {
    const store = folder.store();
    await store.write(at('k'), entry('v'));
    const { path } = store.parts.layout.placeOf(at('k'));
    const bytes = readFileSync(path);
    bytes[8 + 2] = 99;
    writeFileSync(path, bytes);
    expect(await store.read(at('k'))).toBeUndefined();
  });

  it('P8 lost metadata: slots, owners, trash, leases and whole folders may vanish', async () => {
    const store = folder.store();
    await store.write(at('k', ALICE), entry('v'));
    const answer = await store.leases.acquire(at('l', ALICE), 10_000);
    if (answer.kind !== 'leased') throw new Error(answer.kind);
    const { layout, owners } = store.parts;
    unlinkSync(owners.file);
    unlinkSync(layout.placeOf(at('l', ALICE)).lease);
    expect(await store.leases.store(answer.lease, entry('old'))).toBe(false);
    renameSync(layout.folderOf(scope({ org: 'o1' })), join(folder.path, 'lost'));
    expect(await store.read(at('k', ALICE))).toBeUndefined();
    await store.write(at('k', ALICE), entry('w'));
    expect((await store.read(at('k', ALICE)))?.value).toBe('w');
  });

  it('P11 a value that cannot be written down leaves the old entry and no temporary file', async () => {
    const store = folder.store();
    const { path, folder: part } = store.parts.layout.placeOf(at('k'));
    await store.write(at('k'), entry(1));
    const refused = store.write(at('k'), entry({ call: () => undefined }));
    await expect(refused).rejects.toThrow();
    expect((await store.read(at('k')))?.value).toBe(1);
    expect(readdirSync(part)).toEqual([basename(path)]);
  });

  it('S7 a fault rejects, it is no miss', async () => {
    const store = folder.store();
    const { layout } = store.parts;
    const { path, folder: part } = layout.placeOf(at('k'));
    mkdirSync(path, { recursive: true });
    await expect(store.write(at('k'), entry(1))).rejects.toMatchObject({ code: 'EISDIR' });
    expect(readdirSync(part)).toEqual([basename(path)]);
  });

  it('S5 P13 an eviction whose entries cannot be counted has happened: it says -1, is reported, and gives the space back', async () => {
    const host = makeHost();
    const store = folder.store({}, host);
    const { found, trash, layout } = store.parts;
    await store.write(at('k', ALICE), entry('old'));
    const error = Object.assign(new Error('i/o error'), { code: 'EIO' });
    Object.defineProperty(found, 'read', { value: () => Promise.reject(error) });
    expect(await store.evictScope(scope(ALICE))).toBe(-1);
    expect(host.listener.faults).toMatchObject([{ during: 'evictScope', error }]);
    expect(host.listener.removals).toEqual([]);
    expect(await store.read(at('k', ALICE))).toBeUndefined();
    await trash.whenIdle();
    expect(readdirSync(layout.trash)).toEqual([]);
  });
});
