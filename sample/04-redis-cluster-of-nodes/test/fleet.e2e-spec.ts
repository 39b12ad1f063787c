import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

test('P6 P12 P13 two processes share hits, see evictions, and outlive their Redis', async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['sample/run.mjs', '04-redis-cluster-of-nodes'],
    { timeout: 90_000 },
  );
  const shown = JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, unknown>;
  expect(shown).toMatchObject({
    sharedHit: true,
    evictionSeen: true,
    failedRequests: 0,
    evictionSurvived: true,
  });
  expect(shown.worstMs).toBeLessThan(1_000);
}, 100_000);
