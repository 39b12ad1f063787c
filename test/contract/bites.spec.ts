import { describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  memoryStorage,
  type BasicStorage,
  type EvictionRule,
  type StorageDriver,
} from 'nestjs-scoped-cache';
import {
  ContractViolation,
  evictionRuleContract,
  mapStorage,
  scopeResolverContract,
  serializerContract,
  storageContract,
  type ContractRunner,
} from 'nestjs-scoped-cache/testing';

/** Declares a suite with a runner of a few lines, runs it, and tells the titles of the tests that failed. */
async function failing(declare: (runner: ContractRunner) => void): Promise<string[]> {
  const tests: [string, () => void | Promise<void>][] = [];
  declare({ describe: (_, body) => body(), it: (name, body) => tests.push([name, body]) });
  expect(tests.length).toBeGreaterThan(3);
  const failed: string[] = [];
  for (const [name, body] of tests) {
    try {
      await body();
    } catch {
      failed.push(name);
    }
  }
  return failed;
}

function failingStorage(
  breakIt: (storage: BasicStorage, entries: Map<string, Uint8Array>) => object,
) {
  return failing((runner) =>
    storageContract({
      name: 'broken',
      makeStorage: () => {
        const entries = new Map<string, Uint8Array>();
        const storage = mapStorage({ entries });
        return { ...storage, ...breakIt(storage, entries) } as BasicStorage;
      },
      cannot: ['idle', 'grace'],
      ...runner,
    }),
  );
}

/** Memory with one method replaced. */
function brokenMemory(method: string, replacement: (...args: never[]) => unknown): StorageDriver {
  const memory = memoryStorage();
  return {
    name: 'broken memory',
    open: (host) =>
      new Proxy(memory.open(host), {
        get(target, name) {
          if (name === method) return replacement;
          const member: unknown = Reflect.get(target, name, target);
          return typeof member === 'function' ? member.bind(target) : member;
        },
      }),
  };
}

/** Where time is real, as on a server: a clause about lives, and waits that take longer than asked for. */
async function lateLife(
  makeStorage: () => BasicStorage,
  lateWaits: number,
): Promise<{ attempts: number; error: unknown }> {
  let clause: (() => void | Promise<void>) | undefined;
  let attempts = 0;
  storageContract({
    name: 'real',
    makeStorage: () => {
      attempts++;
      return makeStorage();
    },
    realTime: true,
    // By more than an entry lives, which is 600 ms.
    wait: (ms) => sleep(ms + (lateWaits-- > 0 ? 700 : 0)),
    describe: (_, body) => body(),
    it: (name, body) => {
      if (name.startsWith('S1 P7: an entry is a hit until')) clause = body;
    },
  });
  try {
    await clause!();
    return { attempts, error: undefined };
  } catch (error) {
    return { attempts, error };
  }
}

describe('the contract suites bite', () => {
  it('they pass on what is sound, with any runner that has describe and it', async () => {
    expect(await failingStorage(() => ({}))).toEqual([]);
  });

  it('a skipped clause passes, and says in its title that and why it is skipped', () => {
    const titles: string[] = [];
    storageContract({
      name: 'x',
      makeStorage: () => mapStorage(),
      skip: { P14: 'one namespace only' },
      describe: (_, body) => body(),
      it: (name) => titles.push(name),
    });
    expect(titles.filter((title) => title.includes('SKIPPED (one namespace only)'))).toHaveLength(
      1,
    );
  });

  it.each<[string, RegExp, (storage: BasicStorage, entries: Map<string, Uint8Array>) => object]>([
    ['deletes nothing', /^S3 P5: after delete /, () => ({ delete: () => undefined })],
    ['clears everything', /^P14: /, (_, entries) => ({ clear: () => entries.clear() })],
    ['clears nothing', /^S3 P5: after clear /, () => ({ clear: () => undefined })],
    [
      'cuts keys short',
      /^P1/,
      (storage) => ({
        get: (key: string) => storage.get(key.slice(0, 20)),
        set: (key: string, bytes: Uint8Array, ttlMs: number) =>
          storage.set(key.slice(0, 20), bytes, ttlMs),
        delete: (key: string) => storage.delete(key.slice(0, 20)),
      }),
    ],
    ['lists nothing', /^S5: /, () => ({ keys: () => [] })],
    [
      'answers with the first value for ever',
      /^S1: a write gives a new life/,
      (storage, entries) => ({
        set: (key: string, bytes: Uint8Array, ttlMs: number) =>
          entries.has(key) ? undefined : storage.set(key, bytes, ttlMs),
      }),
    ],
    ['swallows its faults', /^S4 P10: 0 is stored/, () => ({ set: () => undefined })],
  ])('a minimal storage that %s fails', async (_, clause, breakIt) => {
    expect(await failingStorage(breakIt)).toContainEqual(expect.stringMatching(clause));
  });

  it.each<[string, RegExp, string, (...args: never[]) => unknown]>([
    ['evictScope', /^S3 P5: after evictScope/, 'evictScope', () => 0],
    ['evictTags', /^S3 P5: after evictTags/, 'evictTags', () => 0],
    ['touch', /^S1: touch/, 'touch', () => true],
    ['expire', /^S1 S2: expireTags/, 'expire', () => 0],
    ['readMany', /^P1 S2: an inherited read/, 'readMany', () => []],
    ['count', /^S5: evictions/, 'count', () => 0],
    ['expired reads', /^S1 P7: an entry is a hit until/, 'read', () => undefined],
    ['close', /^S8 P17/, 'close', () => Promise.resolve()],
  ])('a driver with a broken %s fails', async (_, clause, method, replacement) => {
    const failed = await failing((runner) =>
      storageContract({
        name: 'x',
        makeStorage: () => brokenMemory(method, replacement),
        ...runner,
      }),
    );
    expect(failed).toContainEqual(expect.stringMatching(clause));
  });

  it('where time is real, a clause about lives is run again when the machine overslept, and then passes', async () => {
    expect(await lateLife(() => mapStorage(), 1)).toEqual({ attempts: 2, error: undefined });
  });

  it('where time is real and kept, a violation counts at once; where it is never kept, after five attempts', async () => {
    const broken = (): BasicStorage => ({ ...mapStorage(), get: () => undefined });
    const error = expect.any(ContractViolation) as unknown;
    expect(await lateLife(broken, 0)).toEqual({ attempts: 1, error });
    expect(await lateLife(broken, Infinity)).toEqual({ attempts: 5, error });
  });

  it('an eviction rule that forgets to forget fails E3, one that evicts too late its limit', async () => {
    const leaky = (): EvictionRule => {
      let count = 0;
      return {
        name: 'leaky',
        onSet: (_, replaces) => (replaces || count++ < 6 ? null : { action: 'evict' }),
      };
    };
    const failed = await failing((runner) =>
      evictionRuleContract({ name: 'leaky', makeRule: leaky, keepsAtMost: 5, ...runner }),
    );
    expect(failed).toContainEqual(expect.stringMatching(/^E3: what was evicted/));
    expect(failed).toContainEqual(expect.stringMatching(/^E1 P16: it keeps at most 5/));
  });

  it('plain JSON fails as a serializer', async () => {
    const json = {
      name: 'json',
      serialize: (value: unknown) => new TextEncoder().encode(JSON.stringify(value)),
      deserialize: (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes)),
    };
    const failed = await failing((runner) =>
      serializerContract({ name: 'json', makeSerializer: () => json, ...runner }),
    );
    expect(failed).toContainEqual(expect.stringMatching(/^P10: a Date comes back/));
    expect(failed).toContainEqual(expect.stringMatching(/^P10: what cannot be stored is refused/));
  });

  it('a resolver that reads a header fails P2, one that throws without a user fails P3', async () => {
    interface Context {
      request: { user?: { id: string }; headers: Record<string, string> };
    }
    const failed = await failing((runner) =>
      scopeResolverContract({
        name: 'naive',
        resolve: ({ request }: Context) => request.headers['x-user'] ?? request.user!.id,
        found: [{ context: { request: { user: { id: 'u' }, headers: {} } }, id: 'u' }],
        missing: [{ request: { headers: {} } }],
        ...runner,
      }),
    );
    expect(failed).toContainEqual(expect.stringMatching(/^P2: it reads nothing/));
    expect(failed).toContainEqual(expect.stringMatching(/^P3: /));
  });
});
