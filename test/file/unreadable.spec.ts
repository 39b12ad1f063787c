import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ScopeTree } from '../../lib/core/scope-tree.js';
import type { StorageHost } from '../../lib/core/storage.js';
import { aes256Gcm, type ValueCipher } from '../../lib/index.js';
import type { FileStore } from '../../lib/storages/file/file-store.js';
import { at, entry, Folder, makeHost, scope } from '../support/file/store.js';

const ORG = { org: 'o1' };
const cipher = (id: string): ValueCipher =>
  aes256Gcm({ keys: { [id]: new Uint8Array(32).fill(id.length) }, current: id });
const deeper = (): StorageHost => makeHost({ scopes: new ScopeTree(['org', 'team']) });

let folder: Folder;
beforeEach(() => void (folder = new Folder()));
afterEach(() => folder.remove());

const EVICTIONS: readonly (readonly [string, (store: FileStore) => Promise<number>])[] = [
  ['evictTags', (store) => store.evictTags(scope(ORG), ['t'])],
  ['expire with tags', (store) => store.expire(scope(ORG), ['t'])],
];

/**
 * Two processes on one folder do not always understand each other: during a rotation of keys, a rolling upgrade, or by mistake.
 * Whoever evicts must not leave what it cannot make out to those who can.
 */
describe.each(EVICTIONS)('P5 %s by a process that', (_, evict) => {
  test.each<readonly [string, ValueCipher | undefined, ValueCipher | undefined]>([
    ['has no cipher, for entries that are sealed', cipher('key'), undefined],
    ['has not got their key', cipher('newer-key'), cipher('key')],
    ['encrypts, for entries in plain text', undefined, cipher('key')],
  ])('%s', async (__, theirs, ours) => {
    const writer = folder.store(theirs && { encryption: theirs });
    const evictor = folder.store(ours && { encryption: ours });
    await writer.write(at('k', ORG), entry('old', { tags: ['t'] }));
    await writer.write(at('elsewhere', { org: 'o2' }), entry('kept', { tags: ['t'] }));
    await evict(evictor);
    expect(await writer.read(at('k', ORG))).toBeUndefined();
    expect((await writer.read(at('elsewhere', { org: 'o2' })))?.value).toBe('kept');
  });

  test('has other scopes: what it can read of them is judged by its tags, and counted', async () => {
    const writer = folder.store({}, deeper());
    const { scopes } = writer.host;
    const team = scopes.pathOf({ org: 'o1', team: 't1' }, undefined);
    await writer.write({ scope: team, key: 'k' }, entry('old', { tags: ['t'] }));
    await writer.write({ scope: team, key: 'other' }, entry('kept', { tags: ['u'] }));
    expect(await evict(folder.store())).toBe(1);
    expect(await writer.read({ scope: team, key: 'k' })).toBeUndefined();
    expect((await writer.read({ scope: team, key: 'other' }))?.value).toBe('kept');
  });

  test('is of an older version: what it does not know is set aside', async () => {
    const store = folder.store();
    await store.write(at('k', ORG), entry('old', { tags: ['t'] }));
    const { path } = store.parts.layout.placeOf(at('k', ORG));
    const bytes = readFileSync(path);
    bytes[8 + 2] = 99;
    writeFileSync(path, bytes);
    await evict(store);
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(store.parts.layout.corrupt)).toHaveLength(1);
  });

  test('comes while the life of an entry is being renewed, which looks damaged for an instant', async () => {
    const [store, renewing] = [folder.store(), folder.store()];
    await store.write(at('k', ORG), entry('old', { tags: ['t'] }));
    const { path, slot } = store.parts.layout.placeOf(at('k', ORG));
    const good = readFileSync(path);
    await renewing.parts.gate.slots.acquire(slot);
    writeFileSync(path, Buffer.concat([good.subarray(0, 20), Buffer.alloc(8), good.subarray(28)]));
    const evicting = evict(store);
    await sleep(100);
    writeFileSync(path, good);
    await renewing.parts.gate.slots.release(slot);
    expect(await evicting).toBe(1);
    expect(await store.read(at('k', ORG))).toBeUndefined();
    expect(readdirSync(store.parts.layout.corrupt)).toEqual([]);
  });
});
