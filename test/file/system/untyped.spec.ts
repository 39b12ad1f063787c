import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at, collect, entry, Folder, scope } from '../../support/file/store.js';

const ORG = { org: 'o1' };
const folder = new Folder();
const place = mkdtempSync(join(tmpdir(), 'nsc-untyped-'));
const directory = join(place, 'disk');
const isMounted = mountUntyped();
afterAll(async () => {
  await folder.remove();
  if (isMounted) execFileSync('umount', [directory]);
  rmSync(place, { recursive: true });
});

/** Ext2 made without `filetype` does not say what the entries of a folder are; needs root, and a loop device. */
function mountUntyped(): boolean {
  const image = join(place, 'image');
  writeFileSync(image, '');
  truncateSync(image, 32 << 20);
  mkdirSync(directory);
  try {
    execFileSync('mke2fs', ['-q', '-F', '-N', '4096', '-O', '^filetype', image], {
      stdio: 'ignore',
    });
    execFileSync('mount', ['-o', 'loop', image, directory], { stdio: 'ignore' });
  } catch {
    // Not here: the tests below are skipped, and say so.
    return false;
  }
  chmodSync(directory, 0o700);
  return true;
}

(isMounted ? describe : describe.skip)(
  'on a file system that does not say what an entry of a folder is (as NFS, FUSE)',
  () => {
    test('P12 P13 evictions, listings and counts work while others write and delete', async () => {
      const options = { directory: join(directory, 'cache'), lockTimeout: '30s' } as const;
      const [store, other] = [folder.store(options), folder.store(options)];
      let isOver = false;
      const churn = async (nth: number): Promise<void> => {
        for (let round = 0; !isOver; round++) {
          await other.write(at(`busy${(nth + round) % 40}`, ORG), entry(round, { tags: ['busy'] }));
          await other.remove(at(`busy${(nth + round + 20) % 40}`, ORG));
        }
      };
      const churning = [0, 10, 20, 30].map(churn);
      for (let round = 0; round < 30; round++) {
        for (const key of ['a', 'b', 'c'])
          await store.write(at(key, ORG), entry(1, { tags: ['t'] }));
        const keys = (await collect(store.list(scope(ORG), { deep: true }))).map(
          ({ address }) => address.key,
        );
        expect(keys).toEqual(expect.arrayContaining(['a', 'b', 'c']));
        expect(new Set(keys).size).toBe(keys.length);
        expect(await store.evictTags(scope(ORG), ['t'])).toBe(3);
        await store.evictTags(scope(ORG), ['busy']);
        expect(await store.count(scope(ORG))).toBeLessThanOrEqual(40);
      }
      isOver = true;
      await Promise.all(churning);
    }, 60_000);
  },
);
