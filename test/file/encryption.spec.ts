import { copyFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Snapshots } from '../../lib/file.js';
import { aes256Gcm, type KeyRing, type ValueCipher } from '../../lib/index.js';
import { ManualClock, storageContract } from '../../lib/testing/index.js';
import { fileStorage } from '../../lib/storages/file/index.js';
import { at, collect, entry, Folder, makeHost, memoryStore, scope } from '../support/file/store.js';

const ALICE = { org: 'acme', user: 'alice' };
const WORDS = ['acme', 'alice', 'salary', 'payroll', 'hunter2'];
const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const cipher = (...ids: number[]): ValueCipher =>
  aes256Gcm({
    keys: Object.fromEntries(ids.map((id) => [`k${id}`, key(id)])),
    current: `k${ids.at(-1)}`,
  });

let folder: Folder;
beforeEach(() => void (folder = new Folder()));
afterEach(() => folder.remove());

/** Words that can be found in any file, or in any file's name, below the folder. */
function wordsIn(path: string): string[] {
  const names = readdirSync(path, { recursive: true }).map(String);
  const files = names.filter((name) => statSync(join(path, name)).isFile());
  const all = [...names, ...files.map((name) => readFileSync(join(path, name), 'latin1'))].join();
  return WORDS.filter((word) => all.includes(word));
}

storageContract({
  name: 'file, encrypted',
  shared: 'fleet',
  makeStorage: () => fileStorage({ directory: join(folder.path, 'c'), encryption: cipher(1) }),
  describe,
  it,
});

describe('an encrypted folder', () => {
  it('holds no plain text: neither values, keys, tags nor scopes; without encryption it does', async () => {
    const store = folder.store({ encryption: cipher(1) });
    await store.write(at('salary', ALICE), entry('hunter2', { tags: ['payroll'] }));
    await store.leases.acquire(at('salary2', ALICE), 10_000);
    await store.parts.gate.whenIdle();
    expect(wordsIn(folder.path)).toEqual([]);
    expect((await store.read(at('salary', ALICE)))?.value).toBe('hunter2');
    expect(
      (await collect(store.list(scope(), { deep: true }))).map(
        (one) => `${one.address.scope}|${one.address.key}`,
      ),
    ).toEqual(['org:acme/user:alice|salary']);
    await folder.store().write(at('salary', ALICE), entry('hunter2', { tags: ['payroll'] }));
    expect(wordsIn(folder.path)).toEqual(WORDS);
  });

  it('a file moved to another key, scope or namespace is a miss there, reported and left alone', async () => {
    const host = makeHost();
    const store = folder.store({ encryption: cipher(1) }, host);
    const eve = { org: 'acme', user: 'eve' };
    await store.write(at('salary', ALICE), entry('alice'));
    await store.write(at('salary', eve), entry('eve'));
    const from = store.parts.layout.placeOf(at('salary', ALICE)).path;
    const other = folder.store({ encryption: cipher(1) }, makeHost({ namespace: 'other' }));
    await other.write(at('salary', ALICE), entry('x'));
    copyFileSync(from, store.parts.layout.placeOf(at('salary', eve)).path);
    copyFileSync(from, store.parts.layout.placeOf(at('other', ALICE)).path);
    copyFileSync(from, other.parts.layout.placeOf(at('salary', ALICE)).path);
    expect(await store.read(at('salary', eve))).toBeUndefined();
    expect(await store.read(at('other', ALICE))).toBeUndefined();
    expect(await other.read(at('salary', ALICE))).toBeUndefined();
    expect(await store.count(scope())).toBe(1);
    expect(host.listener.faults).toHaveLength(2);
    expect((await store.read(at('salary', ALICE)))?.value).toBe('alice');
  });

  it('rotates: old keys open, the current one seals, a dropped one makes misses that are reported once each', async () => {
    await folder.store({ encryption: cipher(1) }).write(at('k'), entry('old'));
    const both = folder.store({ encryption: cipher(1, 2) });
    expect((await both.read(at('k')))?.value).toBe('old');
    await both.write(at('n'), entry('new'));
    const host = makeHost();
    const last = folder.store({ encryption: cipher(2) }, host);
    expect(await last.read(at('k'))).toBeUndefined();
    expect((await last.read(at('n')))?.value).toBe('new');
    expect(host.listener.faults.map(({ error }) => String(error))).toEqual([
      expect.stringMatching(/its key is not there/),
    ]);
    expect(String(host.listener.faults[0]!.error)).not.toMatch(/k1|k2/);
    expect(readdirSync(last.parts.layout.corrupt)).toEqual([]);
    expect((await both.read(at('k')))?.value).toBe('old');
  });

  it('dropping the key of a root scope erases it, and keeps it from writing; the others stay', async () => {
    const rings = new Map<string, KeyRing>();
    for (const [at_, root] of ['org:acme', 'org:other'].entries())
      rings.set(root, { keys: { t: key(10 + at_) }, current: 't' });
    const encryption = aes256Gcm({
      keys: { k: key(1) },
      current: 'k',
      keyFor: (root) => rings.get(root),
    });
    const store = folder.store({ encryption });
    await store.write(at('salary', ALICE), entry('hunter2'));
    await store.write(at('salary', { org: 'other' }), entry('stays'));
    await store.write(at('shared'), entry('stays'));
    expect(await store.count(scope())).toBe(3);
    rings.delete('org:acme');
    expect(await store.read(at('salary', ALICE))).toBeUndefined();
    await expect(store.write(at('new', ALICE), entry(1))).rejects.toThrow(/no encryption key/);
    expect((await store.read(at('salary', { org: 'other' })))?.value).toBe('stays');
    expect((await store.read(at('shared')))?.value).toBe('stays');
    expect(await store.count(scope())).toBe(2);
  });

  it('what was there in plain text is a miss, or taken over for a while', async () => {
    await folder.store().write(at('k'), entry('plain'));
    const host = makeHost();
    const strict = folder.store({ encryption: cipher(1) }, host);
    expect(await strict.read(at('k'))).toBeUndefined();
    expect(String(host.listener.faults[0]!.error)).toMatch(/acceptPlain/);
    const lenient = folder.store({
      encryption: aes256Gcm({ keys: { k1: key(1) }, current: 'k1', acceptPlain: true }),
    });
    expect((await lenient.read(at('k')))?.value).toBe('plain');
    expect(await lenient.touch(at('k'), 90_000)).toBe(true);
    await lenient.write(at('k'), entry('sealed'));
    expect((await strict.read(at('k')))?.value).toBe('sealed');
    expect(await folder.store().read(at('k'))).toBeUndefined();
  });

  it('P15 a flipped bit at every offset: the true value or a miss', async () => {
    const host = makeHost();
    const store = folder.store({ encryption: cipher(1) }, host);
    const { path } = store.parts.layout.placeOf(at('k'));
    await store.write(at('k'), entry('true'));
    const good = readFileSync(path);
    let misses = 0;
    for (let offset = 0; offset < good.length; offset++) {
      const bad = Buffer.from(good);
      bad[offset]! ^= 1;
      writeFileSync(path, bad);
      const read = await store.read(at('k'));
      if (read) expect(read.value).toBe('true');
      else misses++;
    }
    expect(misses).toBe(good.length - 8);
  });

  it('lives are renewed under seal: touch and sliding reads, and a head put back from before is a miss', async () => {
    const clock = new ManualClock();
    const store = folder.store({ encryption: cipher(1) }, makeHost({ clock }));
    const { path } = store.parts.layout.placeOf(at('k'));
    await store.write(at('k'), entry('v', { ttlMs: 1_000, sliding: true }));
    const before = readFileSync(path);
    clock.advance(600);
    expect((await store.read(at('k')))?.value).toBe('v');
    clock.advance(600);
    expect((await store.read(at('k'), { peek: true }))?.value).toBe('v');
    expect(await store.touch(at('k'), 5_000)).toBe(true);
    const after = readFileSync(path);
    writeFileSync(
      path,
      Buffer.concat([after.subarray(0, 8), before.subarray(8, 44), after.subarray(44)]),
    );
    expect(await store.read(at('k'))).toBeUndefined();
  });

  it('expired files are swept also by whoever cannot open them', async () => {
    const clock = new ManualClock();
    const host = makeHost({ clock });
    await folder.store({ encryption: cipher(1) }, host).write(at('k'), entry('v'));
    const blind = folder.store({ encryption: cipher(2) }, host);
    expect(await blind.removeExpired()).toBe(0);
    clock.advance(60_000);
    expect(await blind.removeExpired()).toBe(1);
    expect(readdirSync(blind.parts.layout.placeOf(at('k')).folder)).toEqual([]);
  });

  it('is refused with anything but a cipher, which is not repeated', () => {
    for (const encryption of ['hunter2', key(1), {}, null])
      expect(() => folder.store({ encryption: encryption as never })).toThrow(
        /^fileStorage: encryption: expected a cipher.*without seal and open\.$/,
      );
  });
});

describe('an encrypted snapshot', () => {
  const options = (...ids: number[]) => ({
    file: join(folder.path, 'cache.snap'),
    encryption: cipher(...ids),
  });

  it('holds no plain text and comes back; with another key nothing does, and it is reported', async () => {
    const host = makeHost();
    const memory = memoryStore(host);
    await memory.write(at('salary', ALICE), entry('hunter2', { tags: ['payroll'] }));
    expect(await new Snapshots(memory, host, options(1)).dump()).toBe(true);
    expect(wordsIn(folder.path)).toEqual([]);

    const again = memoryStore(host);
    expect((await new Snapshots(again, host, options(1, 2)).restore()).restored).toBe(1);
    expect((await again.read(at('salary', ALICE)))?.value).toBe('hunter2');

    const blind = memoryStore(host);
    const report = await new Snapshots(blind, host, options(2)).restore();
    expect(report).toMatchObject({ restored: 0, damaged: 1 });
    expect(String(host.listener.faults.at(-1)!.error)).toMatch(/its key is not there/);
  });
});
