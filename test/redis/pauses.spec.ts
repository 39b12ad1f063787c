import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { redisStorage } from '../../lib/redis.js';
import type { ServerProcess } from '../support/servers/process.js';
import { startRedis } from '../support/servers/redis.js';
import { at, entry, testHost } from './support.js';

let server: ServerProcess;
beforeAll(async () => {
  server = await startRedis();
}, 60_000);
afterAll(() => server.stop());

/** Keeps this process from doing anything else. */
function standStill(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe('P12 a pause of this process is not blamed on the server', () => {
  test.each(['before it is sent', 'before its answer is read'])(
    'a read that began before a pause longer than its deadline, %s, finds its value',
    async (when) => {
      const host = testHost();
      const storage = redisStorage({
        url: `redis://127.0.0.1:${server.port}`,
        timeout: '100ms',
      }).open(host);
      await storage.write(at('k'), entry(1));
      const read = storage.read(at('k'));
      if (when === 'before its answer is read') await new Promise((done) => setImmediate(done));
      standStill(300);
      expect((await read)?.value).toBe(1);
      expect(host.faults).toEqual([]);
      await storage.close();
    },
  );
});
