import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import type { OpenStorage } from '../../lib/core/storage.js';
import { aes256Gcm, type Aes256GcmOptions, type KeyRing } from '../../lib/index.js';
import { redisStorage } from '../../lib/redis.js';
import type { ServerProcess } from '../support/servers/process.js';
import { startRedis } from '../support/servers/redis.js';
import { at, collect, entry, scope, testHost, type TestHost } from './support.js';

const ALICE = { org: 'acme', user: 'alice' };
const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const ONE: Aes256GcmOptions = { keys: { k1: key(1) }, current: 'k1' };
const TWO: Aes256GcmOptions = { keys: { k1: key(1), k2: key(2) }, current: 'k2' };

let server: ServerProcess;
let client: Redis;
const opened: OpenStorage[] = [];

beforeAll(async () => {
  server = await startRedis();
  client = new Redis(server.port, '127.0.0.1');
}, 60_000);
afterAll(async () => {
  client.disconnect();
  await server.stop();
});
beforeEach(() => client.flushall());
afterEach(async () => {
  for (const storage of opened.splice(0)) await storage.close();
});

function open(options: Aes256GcmOptions | undefined, host: TestHost = testHost()): OpenStorage {
  const encryption = options && aes256Gcm(options);
  const storage = redisStorage({
    url: `redis://127.0.0.1:${server.port}`,
    timeout: '2s',
    compression: { aboveBytes: 100 },
    ...(encryption && { encryption }),
  }).open(host);
  opened.push(storage);
  return storage;
}

/** Keys of entries, with their bytes. */
async function records(): Promise<[string, Buffer][]> {
  const names = (await client.keys('*')).filter((name) => name.includes('e:'));
  return Promise.all(
    names.map(async (name): Promise<[string, Buffer]> => [name, (await client.getBuffer(name))!]),
  );
}

describe('encrypted values on a real server', () => {
  it('cannot be found there in plain text, short or long; without encryption they can', async () => {
    const storage = open(ONE);
    const long = 'hunter2 '.repeat(100);
    await storage.write(at('salary', ALICE), entry('hunter2', { tags: ['t'], sliding: true }));
    await storage.write(at('long', ALICE), entry(long));
    const sealed = Buffer.concat((await records()).map(([, bytes]) => bytes));
    expect(sealed.length).toBeGreaterThan(100);
    expect(sealed.includes('hunter2')).toBe(false);
    expect((await storage.read(at('salary', ALICE)))?.value).toBe('hunter2');
    expect((await storage.read(at('long', ALICE)))?.value).toBe(long);
    const listed = await collect(storage.list(scope('global'), { deep: true }));
    expect(listed.map(({ address }) => address.key).sort()).toEqual(['long', 'salary']);
    await open(undefined).write(at('salary', ALICE), entry('hunter2'));
    expect(Buffer.concat((await records()).map(([, bytes]) => bytes)).includes('hunter2')).toBe(
      true,
    );
  });

  it('with any byte of the envelope altered: the true value or a miss', async () => {
    const storage = open(ONE);
    await storage.write(at('k', ALICE), entry('true'));
    const [[name, good]] = (await records()) as [[string, Buffer]];
    const start = 3 + good.readUInt16LE(1);
    for (let offset = start; offset < good.length; offset++) {
      const bad = Buffer.from(good);
      bad[offset]! ^= 1;
      await client.set(name, bad);
      expect(await storage.read(at('k', ALICE))).toBeUndefined();
    }
    await client.set(name, good);
    expect((await storage.read(at('k', ALICE)))?.value).toBe('true');
  }, 30_000);

  it('under another key or scope: a miss, reported', async () => {
    const host = testHost();
    const storage = open(ONE, host);
    await storage.write(at('k', ALICE), entry('alice'));
    const [[, alice]] = (await records()) as [[string, Buffer]];
    await storage.write(at('other', ALICE), entry('other'));
    for (const [name] of await records()) await client.set(name, alice);
    expect(await storage.read(at('other', ALICE))).toBeUndefined();
    expect((await storage.read(at('k', ALICE)))?.value).toBe('alice');
    expect(host.faults.map(({ error }) => String(error))).toEqual([
      expect.stringMatching(/belongs elsewhere/),
    ]);
  });

  it('renewed by touch and by sliding reads they stay sealed, and a longer life cannot be forged', async () => {
    const storage = open(ONE);
    await storage.write(at('k', ALICE), entry('v', { ttlMs: 60_000 }));
    expect(await storage.touch(at('k', ALICE), 120_000)).toBe(true);
    const found = (await storage.read(at('k', ALICE)))!;
    expect(found).toMatchObject({ value: 'v', ttlMs: 120_000 });
    const [[name, bytes]] = (await records()) as [[string, Buffer]];
    const start = 3 + bytes.readUInt16LE(1);
    bytes.writeDoubleLE(1e9, start + 16);
    bytes.writeUInt32LE(testHost().checksum(bytes.subarray(start, start + 32)), start + 32);
    await client.set(name, bytes);
    expect(await storage.read(at('k', ALICE))).toBeUndefined();
  });

  it('rotate: what the old key sealed is read while it is there, then a miss', async () => {
    await open(ONE).write(at('k'), entry('old'));
    expect((await open(TWO).read(at('k')))?.value).toBe('old');
    await open(TWO).write(at('n'), entry('new'));
    const host = testHost();
    const late = open({ keys: { k2: key(2) }, current: 'k2' }, host);
    expect(await late.read(at('k'))).toBeUndefined();
    expect((await late.read(at('n')))?.value).toBe('new');
    expect(host.faults).toHaveLength(1);
  });

  it('of one tenant are erased with its key; in plain text from before they are misses', async () => {
    await open(undefined).write(at('plain'), entry(1));
    const rings = new Map<string, KeyRing>([
      ['org:acme', { keys: { t: key(7) }, current: 't' }],
      ['org:b', { keys: { t: key(8) }, current: 't' }],
    ]);
    const storage = open({ ...ONE, keyFor: (root) => rings.get(root) });
    await storage.write(at('k', ALICE), entry('alice'));
    await storage.write(at('k', { org: 'b' }), entry('b'));
    rings.delete('org:acme');
    expect(await storage.read(at('k', ALICE))).toBeUndefined();
    await expect(storage.write(at('k', ALICE), entry(2))).rejects.toThrow(/no encryption key/);
    expect((await storage.read(at('k', { org: 'b' })))?.value).toBe('b');
    expect(await storage.read(at('plain'))).toBeUndefined();
  });

  it('are refused options that are no cipher, which is not repeated', () => {
    expect(() => redisStorage({ url: 'redis://x', encryption: 'hunter2' as never })).toThrow(
      /^redisStorage: encryption: expected a cipher.*without seal and open\.$/,
    );
  });
});
