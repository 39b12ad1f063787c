import { linkSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ManualClock } from 'nestjs-scoped-cache/testing';
import { COUNTED_MAX } from '../../lib/storages/file/scope-evictions.js';
import { at, collect, entry, Folder, makeHost, scope } from '../support/file/store.js';

const ALICE = { org: 'o1', user: 'alice' };
const BOB = { org: 'o1', user: 'bob' };
const EVE = { org: 'o12', user: 'alice' };

let folder: Folder;
beforeEach(() => {
  folder = new Folder();
});
afterEach(() => folder.remove());

/** Every file below the test's folder. */
function files(path = folder.path): string[] {
  return readdirSync(path, { withFileTypes: true }).flatMap((item) =>
    item.isDirectory() ? files(join(path, item.name)) : [join(path, item.name)],
  );
}

describe('S1 life', () => {
  it('S1 P7 PC-22 UD-03 a hit at ttl - 1 ms, a miss at ttl, on every operation', async () => {
    const clock = new ManualClock();
    const store = folder.store({}, makeHost({ clock }));
    await store.write(at('a'), entry('x', { ttlMs: 1_000 }));
    clock.advance(999);
    expect((await store.read(at('a')))?.value).toBe('x');
    expect(await store.count(scope())).toBe(1);
    clock.advance(1);
    expect(await store.read(at('a'))).toBeUndefined();
    expect(await store.count(scope())).toBe(0);
    expect(await collect(store.list(scope(), { deep: true }))).toEqual([]);
    expect(await store.touch(at('a'), 1_000)).toBe(false);
    expect(await store.remove(at('a'))).toBe(false);
  });

  it('S1 P7 the times of an entry are on the monotonic scale of whoever reads it', async () => {
    const clock = new ManualClock();
    await folder
      .store({}, makeHost({ clock }))
      .write(at('a'), entry('x', { ttlMs: 5_000, graceMs: 1_000 }));
    const other = new ManualClock(clock.now() + 2_000);
    const read = await folder.store({}, makeHost({ clock: other })).read(at('a'));
    expect(read).toMatchObject({ freshUntil: 3_000, staleUntil: 4_000, ttlMs: 5_000 });
  });

  it('S1 an entry past its TTL is returned within its grace and counted nowhere', async () => {
    const clock = new ManualClock();
    const store = folder.store({}, makeHost({ clock }));
    await store.write(at('a'), entry('x', { ttlMs: 1_000, graceMs: 500 }));
    clock.advance(1_499);
    expect((await store.read(at('a')))?.value).toBe('x');
    expect(await store.count(scope())).toBe(0);
    clock.advance(1);
    expect(await store.read(at('a'))).toBeUndefined();
  });

  it('S1 RC-08 RC-11 a read renews a sliding entry for its own life, a peek does not', async () => {
    const clock = new ManualClock();
    const store = folder.store({}, makeHost({ clock }));
    await store.write(at('a'), entry('x', { ttlMs: 5_000, sliding: true }));
    clock.advance(3_000);
    await store.read(at('a'), { peek: true });
    expect((await store.read(at('a')))?.freshUntil).toBe(8_000);
    clock.advance(3_000);
    expect((await store.read(at('a'), { peek: true }))?.value).toBe('x');
    clock.advance(2_000);
    expect(await store.read(at('a'))).toBeUndefined();
  });

  it('S1 SC-04 SC-05 touch gives a new life and leaves the value alone', async () => {
    const clock = new ManualClock();
    const store = folder.store({}, makeHost({ clock }));
    await store.write(at('a'), entry('x', { ttlMs: 1_000, tags: ['t'] }));
    clock.advance(900);
    expect(await store.touch(at('a'), 10_000)).toBe(true);
    clock.advance(9_999);
    expect(await store.read(at('a'))).toMatchObject({ value: 'x', ttlMs: 10_000, tags: ['t'] });
    expect(await store.touch(at('unknown'), 1)).toBe(false);
  });

  it('S1 expire makes entries stale, within their grace, and drops those without one', async () => {
    const clock = new ManualClock();
    const store = folder.store({}, makeHost({ clock }));
    await store.write(at('graced', ALICE), entry(1, { graceMs: 1_000, tags: ['t'] }));
    await store.write(at('plain', ALICE), entry(2, { tags: ['t'] }));
    await store.write(at('other', ALICE), entry(3));
    clock.advance(10);
    expect(await store.expire(scope({ org: 'o1' }), ['t'])).toBe(2);
    expect(await store.read(at('graced', ALICE))).toMatchObject({
      value: 1,
      freshUntil: 10,
      staleUntil: 1_010,
    });
    expect(await store.read(at('plain', ALICE))).toBeUndefined();
    expect(await store.count(scope())).toBe(1);
  });
});

describe('S2 P1 isolation', () => {
  it('S2 CA-27 CA-28 CA-29 evicting a scope takes its subtree and nothing else', async () => {
    const store = folder.store();
    for (const one of [{ org: 'o1' }, ALICE, BOB, EVE, { ...ALICE, session: 's' }])
      await store.write(at('k', one), entry(one));
    await store.write(at('k'), entry('global'));
    expect(await store.evictScope(scope(ALICE))).toBe(2);
    expect((await store.read(at('k', BOB)))?.value).toEqual(BOB);
    expect(await store.evictScope(scope({ org: 'o1' }))).toBe(2);
    expect((await store.read(at('k', EVE)))?.value).toEqual(EVE);
    expect((await store.read(at('k')))?.value).toBe('global');
    expect(await store.evictScope(scope())).toBe(2);
    expect(await store.evictScope(scope())).toBe(0);
  });

  it('S2 P4 PC-21 keys that look like paths, differ by case, or hold anything are different keys', async () => {
    const store = folder.store();
    const keys = [
      '../x',
      '/etc/passwd',
      'a\0b',
      'é'.repeat(300),
      'e\u0301'.repeat(300),
      'CON',
      'A',
      'a',
      '.',
      '..',
      '\ud800',
      '\udfff',
      '{x}',
      '*',
      '__proto__',
      '😀',
    ];
    for (const key of keys) {
      await store.write(at(key), entry(key));
      await store.write(at(key, { org: key }), entry(`org ${key}`));
    }
    for (const key of keys) {
      expect((await store.read(at(key)))?.value).toBe(key);
      expect((await store.read(at(key, { org: key })))?.value).toBe(`org ${key}`);
    }
    expect(await store.count(scope())).toBe(keys.length * 2);
  });

  it('S2 P14 SC-18 two namespaces in one folder never meet', async () => {
    const one = folder.store({}, makeHost({ namespace: 'a' }));
    const two = folder.store({}, makeHost({ namespace: 'a*' }));
    await one.write(at('k'), entry(1));
    await two.write(at('k'), entry(2));
    await two.clear();
    expect((await one.read(at('k')))?.value).toBe(1);
    expect(await two.read(at('k'))).toBeUndefined();
  });

  it('S2 SC-13 tags are evicted in the subtree alone', async () => {
    const store = folder.store();
    for (const one of [ALICE, BOB, EVE]) {
      await store.write(at('tagged', one), entry(1, { tags: ['t', 'u'] }));
      await store.write(at('plain', one), entry(1, { tags: ['u'] }));
    }
    expect(await store.evictTags(scope({ org: 'o1' }), ['t', 'unknown'])).toBe(2);
    expect(await store.read(at('tagged', ALICE))).toBeUndefined();
    expect((await store.read(at('tagged', EVE)))?.value).toBe(1);
    expect(await store.count(scope())).toBe(4);
  });
});

describe('S3 P5 nothing older', () => {
  const voiding: [string, (store: ReturnType<Folder['store']>) => Promise<unknown>][] = [
    ['write', (store) => store.write(at('k', ALICE), entry('new'))],
    ['remove', (store) => store.remove(at('k', ALICE))],
    ['evictScope', (store) => store.evictScope(scope({ org: 'o1' }))],
    ['evictScope global', (store) => store.evictScope(scope())],
    ['evictTags', (store) => store.evictTags(scope(), ['t'])],
    ['expire', (store) => store.expire(scope({ org: 'o1' }), undefined)],
    ['clear', (store) => store.clear()],
    ['increment', (store) => store.increment(at('k', ALICE), 1, 1_000)],
    ['change', (store) => store.change(at('k', ALICE), () => ({ write: entry('new') }))],
  ];

  it.each(voiding)('S3 P5 %s voids a running load, even in another process', async (_, act) => {
    const loader = folder.store();
    const other = folder.store();
    const answer = await loader.leases.acquire(at('k', ALICE), 10_000);
    if (answer.kind !== 'leased') throw new Error(answer.kind);
    await act(other);
    const before = (await other.read(at('k', ALICE)))?.value;
    expect(await loader.leases.store(answer.lease, entry('old', { tags: ['t'] }))).toBe(false);
    expect((await loader.read(at('k', ALICE)))?.value).toEqual(before);
    expect(await loader.leases.renew(answer.lease, 1_000)).toBe(false);
    expect(files().filter((name) => name.endsWith('.lease'))).toEqual([]);
  });

  it.each(voiding.slice(0, 5))(
    'S3 P5 a refresh that began before %s is not stored',
    async (_, act) => {
      const store = folder.store();
      await store.write(at('k', ALICE), entry('first', { tags: ['t'] }));
      const answer = await store.leases.acquire(at('k', ALICE), 10_000, true);
      if (answer.kind !== 'leased') throw new Error(answer.kind);
      await act(store);
      expect(await store.leases.store(answer.lease, entry('old', { tags: ['t'] }))).toBe(false);
      expect((await store.read(at('k', ALICE)))?.value).not.toBe('old');
    },
  );

  it('S3 P5 a lease survives the eviction of tags that its result does not carry', async () => {
    const store = folder.store();
    const answer = await store.leases.acquire(at('k', ALICE), 10_000);
    if (answer.kind !== 'leased') throw new Error(answer.kind);
    await store.evictTags(scope(), ['t']);
    expect(await store.leases.store(answer.lease, entry('new', { tags: ['u'] }))).toBe(true);
    expect((await store.read(at('k', ALICE)))?.value).toBe('new');
  });

  it('S5 0006 an eviction of more than can be counted in a moment takes effect at once and says -1', async () => {
    const store = folder.store();
    const org = { org: 'o', user: 'u' };
    await store.write(at('k', org), entry(1));
    const { folder: dir, path } = store.parts.layout.placeOf(at('k', org));
    const name = (n: number): string => join(dir, n.toString(16).padStart(40, '0'));
    for (let n = 0; n < COUNTED_MAX; n++) linkSync(path, name(n));
    const evicting = store.evictScope(scope({ org: 'o' }));
    expect(await evicting).toBe(-1);
    expect(await store.read(at('k', org))).toBeUndefined();
    expect(await store.count(scope())).toBe(0);
  }, 180_000);

  it('S3 evicting a scope works again and again, and what is written after it stays', async () => {
    const store = folder.store();
    for (let round = 0; round < 20; round++) {
      await store.write(at('k', ALICE), entry(round));
      expect(await store.evictScope(scope({ org: 'o1' }))).toBe(1);
      expect(await store.read(at('k', ALICE))).toBeUndefined();
    }
    await store.write(at('k', ALICE), entry('last'));
    await store.parts.trash.whenIdle();
    expect((await store.read(at('k', ALICE)))?.value).toBe('last');
    expect(readdirSync(store.parts.layout.trash)).toEqual([]);
  });

  it('S3 writes that race with evictions neither fail nor leave anything behind', async () => {
    const store = folder.store();
    const writes = Array.from({ length: 200 }, (_, index) =>
      store.write(at(`k${index}`, ALICE), entry(index)),
    );
    for (let round = 0; round < 10; round++) await store.evictScope(scope({ org: 'o1' }));
    await Promise.all(writes);
    await store.evictScope(scope());
    expect(await store.count(scope())).toBe(0);
    await store.parts.trash.whenIdle();
    expect(files().filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

describe('S4 values', () => {
  it('S4 P10 PC-13 undefined, null, 0, empty and false are values; a miss is undefined instead of an entry', async () => {
    const store = folder.store();
    for (const value of [undefined, null, 0, '', false, NaN, -0, 10n]) {
      await store.write(at('k'), entry(value));
      const read = await store.read(at('k'));
      expect(read).toBeDefined();
      expect(Object.is(read!.value, value)).toBe(true);
    }
    expect(await store.read(at('unknown'))).toBeUndefined();
  });

  it('S4 PC-21 empty and large values, and bytes at every size around the first read', async () => {
    const store = folder.store();
    for (const size of [
      0, 1, 3_900, 3_990, 4_000, 4_010, 4_040, 4_050, 4_096, 4_097, 8_192, 1_048_576,
    ]) {
      const value = Buffer.alloc(size, 'x').toString();
      await store.write(at('k'), entry(value));
      expect((await store.read(at('k')))?.value).toBe(value);
    }
  });

  it('S4 P11 values come fresh with each read', async () => {
    const store = folder.store();
    await store.write(at('k'), entry({ n: 1 }));
    ((await store.read(at('k')))!.value as { n: number }).n = 99;
    expect((await store.read(at('k')))?.value).toEqual({ n: 1 });
  });

  it('S4 PC-25 the file holds the key, so that a file under another name is no entry', async () => {
    const store = folder.store();
    await store.write(at('the-original-key'), entry(1));
    const [path] = files().filter((name) => /[0-9a-f]{40}$/.test(name));
    expect(readFileSync(path!).includes('the-original-key')).toBe(true);
  });

  it('S4 several at once, in order', async () => {
    const store = folder.store();
    await store.writeMany([
      [at('a'), entry(1)],
      [at('b', ALICE), entry(2)],
    ]);
    const read = await store.readMany([at('b', ALICE), at('none'), at('a')]);
    expect(read.map((one) => one?.value)).toEqual([2, undefined, 1]);
    expect(await store.removeMany([at('a'), at('none'), at('b', ALICE)])).toBe(2);
  });
});

describe('S5 counts and listings', () => {
  it('S5 UD-22 UD-16 counts, lists and reclaims exactly the live ones', async () => {
    const clock = new ManualClock();
    const host = makeHost({ clock });
    const store = folder.store({}, host);
    for (let index = 0; index < 5; index++)
      await store.write(at(`k${index}`, ALICE), entry(index, { ttlMs: index < 3 ? 1_000 : 9_000 }));
    await store.write(at('top'), entry('top'));
    clock.advance(1_000);
    expect(await store.count(scope())).toBe(3);
    expect(await store.count(scope(ALICE))).toBe(2);
    const listed = await collect(store.list(scope({ org: 'o1' }), { deep: true }));
    expect(
      listed.map((line) => [line.address.key, line.address.scope.id, line.entry.value]).sort(),
    ).toEqual([
      ['k3', 'org:o1/user:alice', 3],
      ['k4', 'org:o1/user:alice', 4],
    ]);
    expect(await collect(store.list(scope({ org: 'o1' }), { deep: false }))).toEqual([]);
    expect(await store.removeExpired()).toBe(3);
    expect(await store.removeExpired()).toBe(0);
    expect(host.listener.removals).toEqual([
      ['expired', 1],
      ['expired', 1],
      ['expired', 1],
    ]);
  });

  it('S5 RC-18 RC-19 RC-20 removes what was idle for longer, strictly; a read keeps an entry', async () => {
    const clock = new ManualClock();
    const store = folder.store({}, makeHost({ clock }));
    await store.write(at('idle', ALICE), entry(1));
    await store.write(at('read', ALICE), entry(1));
    clock.advance(6_000);
    expect(await store.removeIdle(scope(), 6_000)).toBe(0);
    await store.read(at('read', ALICE));
    clock.advance(1);
    expect(await store.removeIdle(scope(BOB), 6_000)).toBe(0);
    expect(await store.removeIdle(scope(), 6_000)).toBe(1);
    expect((await store.read(at('read', ALICE)))?.value).toBe(1);
  });

  it('S5 a read is remembered across a restart, to the minute', async () => {
    const clock = new ManualClock();
    const first = folder.store({}, makeHost({ clock }));
    await first.write(at('k'), entry(1, { ttlMs: Infinity }));
    clock.advance(120_000);
    await first.read(at('k'));
    await first.close();
    const second = folder.store({}, makeHost({ clock }));
    clock.advance(60_000);
    expect(await second.removeIdle(scope(), 90_000)).toBe(0);
  });
});

describe('atomic operations', () => {
  it('SC-33 PC-36 RC-24 parallel increments and merges lose nothing, across two storages', async () => {
    const stores = [folder.store(), folder.store()];
    const work = Array.from({ length: 100 }, (_, index) => {
      const store = stores[index % 2]!;
      const merge = store.change(at('m'), (current) => ({
        write: entry({ ...(current?.value as object), [index]: index }),
      }));
      return Promise.all([store.increment(at('n'), 1, 60_000), merge]);
    });
    await Promise.all(work);
    expect((await stores[0]!.read(at('n')))?.value).toBe(100);
    expect(Object.keys((await stores[1]!.read(at('m')))!.value as object)).toHaveLength(100);
  });

  it('SC-33 an increment keeps the end of its counter', async () => {
    const clock = new ManualClock();
    const store = folder.store({}, makeHost({ clock }));
    expect(await store.increment(at('n'), 1, 1_000)).toBe(1);
    clock.advance(999);
    expect(await store.increment(at('n'), 1, 1_000)).toBe(2);
    clock.advance(1);
    expect(await store.increment(at('n'), 5, 1_000)).toBe(5);
    await store.write(at('text'), entry('x'));
    await expect(store.increment(at('text'), 1, 1_000)).rejects.toThrow(
      /a string, which cannot be counted with/,
    );
  });

  it('UD-10 RC-10 a change sees live entries only, and can keep the remaining life', async () => {
    const clock = new ManualClock();
    const store = folder.store({}, makeHost({ clock }));
    await store.write(at('k'), entry({ a: 1 }, { ttlMs: 1_000 }));
    clock.advance(400);
    await store.change(at('k'), (current) => ({
      write: entry({ ...(current!.value as object), b: 2 }),
      ttl: 'remaining',
    }));
    expect(await store.read(at('k'))).toMatchObject({ value: { a: 1, b: 2 }, freshUntil: 1_000 });
    expect(await store.change(at('k'), () => ({ keep: true }))).toEqual({ keep: true });
    clock.advance(600);
    await store.change(at('k'), (current) => ({ write: entry(current === undefined) }));
    expect((await store.read(at('k')))?.value).toBe(true);
  });

  it('UD-31 a change may use its own key, and is asked again when somebody else was faster', async () => {
    const store = folder.store();
    let calls = 0;
    await store.change(at('k'), async (current) => {
      if (++calls === 1) await store.write(at('k'), entry('between'));
      return { write: entry([current?.value]) };
    });
    expect(calls).toBe(2);
    expect((await store.read(at('k')))?.value).toEqual(['between']);
  });
});

describe('P9 leases', () => {
  it('P9 one loader at a time; the others learn when it is worth asking again', async () => {
    const [one, two] = [folder.store(), folder.store()];
    const first = await one.leases.acquire(at('k'), 10_000);
    const second = await two.leases.acquire(at('k'), 10_000);
    if (first.kind !== 'leased' || second.kind !== 'busy')
      throw new Error(`${first.kind} ${second.kind}`);
    const waiting = second.changed(5_000);
    expect(await one.leases.store(first.lease, entry('loaded'))).toBe(true);
    await waiting;
    expect(await two.leases.acquire(at('k'), 1_000)).toMatchObject({
      kind: 'hit',
      entry: { value: 'loaded' },
    });
  });

  it('P9 a lease ends by release, by its time, and is renewed', async () => {
    const clock = new ManualClock();
    const store = folder.store({}, makeHost({ clock }));
    const first = await store.leases.acquire(at('k'), 1_000);
    if (first.kind !== 'leased') throw new Error(first.kind);
    clock.advance(900);
    expect(await store.leases.renew(first.lease, 1_000)).toBe(true);
    clock.advance(900);
    expect((await store.leases.acquire(at('k'), 1_000)).kind).toBe('busy');
    clock.advance(100);
    const second = await store.leases.acquire(at('k'), 1_000);
    if (second.kind !== 'leased') throw new Error(second.kind);
    expect(await store.leases.store(first.lease, entry('late'))).toBe(false);
    await store.leases.release(second.lease);
    expect((await store.leases.acquire(at('k'), 1_000)).kind).toBe('leased');
  });

  it('P9 a stale entry comes with the lease, a fresh one only for a refresh', async () => {
    const clock = new ManualClock();
    const store = folder.store({}, makeHost({ clock }));
    await store.write(at('k'), entry('v', { ttlMs: 1_000, graceMs: 1_000 }));
    expect((await store.leases.acquire(at('k'), 1_000)).kind).toBe('hit');
    clock.advance(1_000);
    const answer = await store.leases.acquire(at('k'), 1_000);
    expect(answer).toMatchObject({ kind: 'leased', stale: { value: 'v' } });
    if (answer.kind === 'leased')
      expect(await store.leases.store(answer.lease, entry('w'))).toBe(true);
    const refresh = await store.leases.acquire(at('k'), 1_000, true);
    expect(refresh.kind).toBe('leased');
    expect((await store.leases.acquire(at('k'), 1_000, true)).kind).toBe('busy');
  });
});

describe('P16 limits', () => {
  it('P16 SC-10 PC-35 the longest unused make room', async () => {
    const host = makeHost();
    const store = folder.store({ maxEntries: 10 }, host);
    for (let index = 0; index < 10; index++) await store.write(at(`k${index}`), entry(index));
    await store.read(at('k0'));
    for (let index = 10; index < 15; index++) await store.write(at(`k${index}`), entry(index));
    expect(await store.count(scope())).toBe(10);
    expect((await store.read(at('k0')))?.value).toBe(0);
    expect(await store.read(at('k1'))).toBeUndefined();
    expect(host.listener.removals.filter(([reason]) => reason === 'lru')).toHaveLength(5);
    expect(store.figures()).toMatchObject({ entries: 10 });
  });

  it('P16 bytes are limited, and so is what an earlier process left', async () => {
    const first = folder.store();
    for (let index = 0; index < 20; index++)
      await first.write(at(`k${index}`), entry('x'.repeat(1_000)));
    const host = makeHost();
    const second = folder.store({ maxBytes: 10_000 }, host);
    await second.parts.sweeper.whenIdle();
    expect(await second.count(scope())).toBeLessThan(10);
    expect(second.figures()['bytes']).toBeLessThanOrEqual(10_000);
    expect(host.listener.removals.every(([reason]) => reason === 'size')).toBe(true);
  });

  it('P16 UD-30 a thousand parallel writes, then nothing is held', async () => {
    const store = folder.store();
    await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => store.write(at(`k${index}`), entry(index))),
    );
    expect(await store.count(scope())).toBe(1_000);
    await store.parts.gate.whenIdle();
    expect(store.figures()['keysInUse']).toBe(0);
    expect(readdirSync(store.parts.layout.slots)).toEqual([]);
  });
});

describe('S8 close', () => {
  it('S8 P17 PC-30 twice, after finishing what runs, leaving no trace of the process', async () => {
    const store = folder.store();
    const writing = store.write(at('k'), entry(1));
    await new Promise((resolve) => setImmediate(resolve));
    await store.close();
    await store.close();
    expect(await writing).toBe(true);
    expect(readdirSync(store.parts.layout.owners)).toEqual([]);
    await expect(store.write(at('k'), entry(2))).rejects.toThrow(/closed/);
  });

  it('PC-29 UD-24 UD-26 the next process reads what the last one wrote, with its end, and not what it removed', async () => {
    const clock = new ManualClock();
    const first = folder.store({}, makeHost({ clock }));
    await first.write(at('kept', ALICE), entry(1, { ttlMs: 5_000 }));
    await first.write(at('removed', ALICE), entry(1));
    await first.remove(at('removed', ALICE));
    await first.close();
    clock.advance(4_999);
    const second = folder.store({}, makeHost({ clock }));
    expect((await second.read(at('kept', ALICE)))?.freshUntil).toBe(5_000);
    expect(await second.read(at('removed', ALICE))).toBeUndefined();
  });

  it('PC-19 UD-33 folders 0700, files 0600', async () => {
    await folder.store().write(at('k', ALICE), entry(1));
    const mode = (path: string): number => statSync(path).mode & 0o777;
    for (const path of files()) expect(mode(path)).toBe(0o600);
    expect(mode(join(folder.path, 'cache'))).toBe(0o700);
  });
});
