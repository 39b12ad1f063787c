import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { at, entry, Folder, scope } from '../support/file/store.js';

const ORG = { org: 'o1' };
const OURS = ['entries', 'slots', 'owners', 'trash', 'corrupt'] as const;
let folder: Folder;
beforeEach(() => {
  folder = new Folder();
});
afterEach(() => folder.remove());

/** `rm -rf`, or somebody who tidies up folders that nothing was written to for long. */
describe('folders that somebody removes while the storage is open (P12, P15)', () => {
  test.each(['everything', ...OURS])(
    '%s: the next operations work, without a restart',
    async (what) => {
      const [one, other] = [folder.store(), folder.store()];
      const { layout } = one.parts;
      await one.write(at('k', ORG), entry('old'));
      rmSync(what === 'everything' ? layout.root : layout[what as (typeof OURS)[number]], {
        recursive: true,
      });
      if (what === 'everything' || what === 'entries')
        expect(await one.read(at('k', ORG))).toBeUndefined();
      for (const store of [one, other]) {
        await store.write(at('k', ORG), entry('new'));
        expect((await other.read(at('k', ORG)))?.value).toBe('new');
        expect(await store.increment(at('n', { org: store.parts.owners.me.id }), 1, 60_000)).toBe(
          1,
        );
        const answer = await store.leases.acquire(at('loaded'), 1_000);
        expect(answer.kind).toBe('leased');
        if (answer.kind === 'leased') await store.leases.release(answer.lease);
      }
    },
  );

  test('P5 P13 an eviction with nowhere to move the scope to is carried out, not lost', async () => {
    const store = folder.store();
    for (const evict of [
      () => store.evictScope(scope(ORG)),
      () => store.evictScope(scope()),
      () => store.clear(),
    ]) {
      await store.write(at('k', ORG), entry(1));
      rmSync(store.parts.layout.trash, { recursive: true });
      await evict();
      expect(await store.read(at('k', ORG))).toBeUndefined();
    }
  });

  test('P5 P13 an eviction is carried out as well where another process has just made that place again', async () => {
    const [store, other] = [folder.store(), folder.store()];
    const { folders } = store.parts.trash;
    const restore = (): void => {
      other.parts.trash.folders.restore();
      folders.restore();
    };
    Object.defineProperty(store.parts.trash, 'folders', {
      value: Object.assign(Object.create(folders) as typeof folders, {
        restore,
        sync: async () => undefined,
      }),
    });
    await store.write(at('k', ORG), entry('old'));
    rmSync(store.parts.layout.trash, { recursive: true });
    await store.clear();
    expect(await other.read(at('k', ORG))).toBeUndefined();
  });

  test.each(['', ', and which another process has just made again'])(
    'P15 a damaged entry is set aside in a folder that somebody removed%s',
    async (again) => {
      const [store, other] = [folder.store(), folder.store()];
      const { quarantine, layout } = store.parts;
      const { restore } = quarantine;
      if (again)
        Object.defineProperty(quarantine, 'restore', {
          value: () => {
            other.parts.quarantine.restore();
            restore();
          },
        });
      await store.write(at('k', ORG), entry('old'));
      writeFileSync(layout.placeOf(at('k', ORG)).path, 'damaged');
      rmSync(layout.corrupt, { recursive: true });
      expect(await store.read(at('k', ORG))).toBeUndefined();
      expect(readdirSync(layout.corrupt)).toHaveLength(1);
    },
  );

  test('P15 a link in the place of the removed folder is not followed', async () => {
    const store = folder.store();
    const elsewhere = join(folder.path, 'elsewhere');
    mkdirSync(elsewhere);
    rmSync(store.parts.layout.root, { recursive: true });
    symlinkSync(elsewhere, store.parts.layout.root);
    await expect((async () => store.write(at('k'), entry(1)))()).rejects.toThrow(/symbolic link/);
  });
});
