import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { FileStore } from '../../lib/storages/file/file-store.js';
import { at, entry, Folder, makeHost } from '../support/file/store.js';

/** Two storages on one folder have nothing in common but the folder, like two processes. */
let folder: Folder;
let mine: FileStore;
let theirs: FileStore;
const K = at('k');
beforeEach(() => {
  folder = new Folder();
  mine = folder.store();
  theirs = folder.store();
});
afterEach(() => folder.remove());

/** Runs `before` and `after` around the one call that makes a write of `mine` visible, or a removal happen. */
function around(before: () => Promise<void>, after: () => Promise<void>): void {
  const { files } = mine.parts;
  const { commit, removeAlone } = files;
  const restore = (): void => void Object.assign(files, { commit, removeAlone });
  Object.assign(files, {
    commit: async (...args: Parameters<typeof commit>) => {
      restore();
      await before();
      const result = await commit.apply(files, args);
      await after();
      return result;
    },
    removeAlone: async (...args: Parameters<typeof removeAlone>) => {
      restore();
      await before();
      const result = await removeAlone.apply(files, args);
      await after();
      return result;
    },
  });
}

/** Another process has the key from before the write until after it, and puts what it read before over it, or removes it. */
function takesKey(work: () => Promise<unknown>): {
  take(): Promise<void>;
  finish(): Promise<void>;
} {
  const { files, layout } = theirs.parts;
  let goOn!: () => void;
  let done!: Promise<unknown>;
  const mayGoOn = new Promise<void>((resolve) => (goOn = resolve));
  return {
    async take() {
      await new Promise<void>((taken) => {
        done = files.alone(layout.placeOf(K), async () => {
          taken();
          await mayGoOn;
          await work();
        });
      });
    },
    async finish() {
      goOn();
      await done;
      await theirs.parts.gate.whenIdle();
    },
  };
}
const putOld = (): Promise<unknown> =>
  theirs.parts.files.publishAlone(
    theirs.parts.layout.placeOf(K),
    theirs.parts.files.encode(K, entry('old')),
  );
const removeIt = (): Promise<unknown> =>
  theirs.parts.files.removeAlone(theirs.parts.layout.placeOf(K));

describe('S3 P5 a write takes no slot', () => {
  it.each([
    ['replaced by something older', putOld],
    ['removed as if it were the expired one', removeIt],
  ])('and, %s by whoever had the key and gave it back, is made again', async (_name, work) => {
    const key = takesKey(work);
    around(key.take, key.finish);
    await mine.write(K, entry('new'));
    expect((await theirs.read(K))?.value).toBe('new');
  });

  it('and waits for whoever still has the key before it resolves', async () => {
    const key = takesKey(putOld);
    around(key.take, async () => void setTimeout(() => void key.finish(), 30));
    await mine.write(K, entry('new'));
    await theirs.parts.gate.whenIdle();
    expect((await theirs.read(K))?.value).toBe('new');
  });

  it('and leaves neither slots nor temporary files', async () => {
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => (n % 2 ? mine : theirs).write(K, entry(n))),
    );
    await Promise.all([mine, theirs].map((store) => store.parts.gate.whenIdle()));
    expect(readdirSync(mine.parts.layout.slots)).toEqual([]);
    expect(readdirSync(mine.parts.layout.placeOf(K).folder)).toHaveLength(1);
  });

  it('and comes back when it was set aside in place of a damaged file', async () => {
    const host = makeHost();
    const third = folder.store({}, host);
    const { path, folder: part } = third.parts.layout.placeOf(K);
    mkdirSync(part, { mode: 0o700 });
    writeFileSync(path, 'damaged');
    const { setAside } = third.parts.quarantine;
    third.parts.quarantine.setAside = async (...args) => {
      // What a write does once it has found the slot free.
      const { files, layout } = mine.parts;
      await files.publishAlone(layout.placeOf(K), files.encode(K, entry('new')));
      return setAside.apply(third.parts.quarantine, args);
    };
    expect((await third.read(K))?.value).toBe('new');
    expect((await mine.read(K))?.value).toBe('new');
  });
});

describe('S3 P5 a removal takes no slot', () => {
  it('and is made again when what it removed was brought back from what was read before', async () => {
    await mine.write(K, entry('old'));
    const key = takesKey(putOld);
    around(key.take, key.finish);
    expect(await mine.remove(K)).toBe(true);
    expect(await theirs.read(K)).toBeUndefined();
  });

  it('and voids a lease that was taken while it ran', async () => {
    let lease: Awaited<ReturnType<typeof theirs.leases.acquire>> | undefined;
    around(
      () => Promise.resolve(),
      async () => void (lease = await theirs.leases.acquire(K, 10_000)),
    );
    await mine.remove(K);
    if (lease?.kind !== 'leased') throw new Error(lease?.kind);
    expect(await theirs.leases.store(lease.lease, entry('old'))).toBe(false);
    expect(await mine.read(K)).toBeUndefined();
  });

  it('and of two at once, one counts', async () => {
    for (let round = 0; round < 20; round++) {
      await mine.write(K, entry(round));
      const removed = await Promise.all([mine.remove(K), theirs.remove(K)]);
      expect(removed.filter(Boolean)).toHaveLength(1);
    }
  });
});
