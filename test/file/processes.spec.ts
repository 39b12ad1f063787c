import { chmodSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compileLib } from '../support/file/compile.js';
import { runWorker, startWorker } from '../support/file/processes.js';
import { at, entry, Folder, scope } from '../support/file/store.js';

let lib: string;
let folder: Folder;
let directory: string;
beforeAll(() => {
  lib = compileLib();
  chmodSync(lib, 0o755);
});
afterAll(() => rmSync(lib, { recursive: true, force: true }));
beforeEach(() => {
  folder = new Folder();
  directory = join(folder.path, 'cache');
});
afterEach(() => folder.remove());

describe('several processes on one folder', () => {
  it('UD-34 SC-41 S3 four writers: nothing lost, nothing torn', async () => {
    const rounds = 30;
    const writers = ['1', '2', '3', '4'].map((id) =>
      runWorker(lib, ['churn', directory, id, String(rounds)]),
    );
    for (const { lines, stderr } of await Promise.all(writers))
      expect({ lines, stderr }).toEqual({ lines: [{ torn: 0, faults: 0 }], stderr: '' });
    const store = folder.store();
    expect((await store.read(at('counter')))?.value).toBe(4 * rounds);
    expect(Object.keys((await store.read(at('merged')))!.value as object)).toHaveLength(4 * rounds);
    expect(await store.count(scope({ org: 'o' }))).toBe(4 * rounds);
    expect(readdirSync(store.parts.layout.slots)).toEqual([]);
    expect(readdirSync(store.parts.layout.owners)).toEqual([store.parts.owners.me.id]);
  }, 60_000);

  it("S3 P5 four processes that change each other's keys: no write and no removal is undone by what was read before it", async () => {
    const ids = ['1', '2', '3', '4'];
    const workers = ids.map((id) =>
      runWorker(lib, ['meddle', directory, id, ids.filter((one) => one !== id).join(), '150']),
    );
    for (const { lines, stderr } of await Promise.all(workers))
      expect({ lines, stderr }).toEqual({ lines: [{ older: 0, faults: 0 }], stderr: '' });
  }, 60_000);

  it('P8 a slot of a killed process is taken over, one of a living process is respected', async () => {
    const store = folder.store({ lockTimeout: '300ms' });
    const holder = startWorker(lib, ['hold', directory, 'k']);
    expect(await holder.said).toBe('held');
    await expect(store.write(at('k'), entry(1))).rejects.toThrow(/another process has held/);
    await store.write(at('other'), entry(1));
    holder.child.kill('SIGKILL');
    await holder.ended;
    const again = [folder.store(), folder.store(), folder.store()];
    await Promise.all(again.map((one) => one.increment(at('k'), 1, 60_000)));
    expect((await store.read(at('k')))?.value).toBe(3);
  }, 30_000);

  it('P9 a killed loader delays nobody, a living one is waited for', async () => {
    const store = folder.store();
    const loader = startWorker(lib, ['lease', directory, 'k', '60000']);
    expect(await loader.said).toBe('leased');
    const answer = await store.leases.acquire(at('k'), 1_000);
    if (answer.kind !== 'busy') throw new Error(answer.kind);
    const waiting = answer.changed(20_000);
    loader.child.kill('SIGKILL');
    await waiting;
    expect((await store.leases.acquire(at('k'), 1_000)).kind).toBe('leased');
    await loader.ended;
  }, 30_000);
});
