import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { OpenStorage } from '../../lib/core/storage.js';
import { redisStorage } from '../../lib/redis.js';
import type { ServerProcess } from '../support/servers/process.js';
import { startRedis } from '../support/servers/redis.js';
import { at, entry, testHost, type TestHost } from './support.js';

let server: ServerProcess;
beforeAll(async () => {
  server = await startRedis();
}, 60_000);
afterAll(() => server.stop());

let host: TestHost;
let storage: OpenStorage;
beforeEach(() => {
  host = testHost();
  const options = { url: `redis://127.0.0.1:${server.port}`, timeout: '100ms' } as const;
  storage = redisStorage(options).open(host);
});
afterEach(() => storage.close());

/** Keeps this process from doing anything else. */
function standStill(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe('P12 a pause of this process is not blamed on the server', () => {
  test.each(['before it is sent', 'before its answer is read'])(
    'a read that began before a pause longer than its deadline, %s, finds its value',
    async (when) => {
      await storage.write(at('k'), entry(1));
      const read = storage.read(at('k'));
      if (when === 'before its answer is read') await new Promise((done) => setImmediate(done));
      standStill(300);
      expect((await read)?.value).toBe(1);
      expect(host.faults).toEqual([]);
    },
  );

  test('a change that was made before a pause and sent after it is carried out, though its first limit has passed', async () => {
    await storage.write(at('k'), entry(1));
    await storage.change(at('k'), () => {
      // Ahead of the client's own, which sends it.
      setImmediate(() => standStill(300));
      return { write: entry(2) };
    });
    expect((await storage.read(at('k')))?.value).toBe(2);
    expect(host.faults).toEqual([]);
  });
});
