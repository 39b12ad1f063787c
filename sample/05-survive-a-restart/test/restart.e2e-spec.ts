import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

test('P15 P17 the cache is there after kill -9 and after SIGTERM, in files and in snapshots, with what was left of its life', async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['sample/run.mjs', '05-survive-a-restart'],
    { timeout: 90_000 },
  );
  const shown = JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<
    string,
    Record<string, { hits: number; ttl: number }>
  >;
  for (const kind of ['files', 'snapshots']) {
    const { killed, stopped } = shown[kind]!;
    expect([kind, killed!.hits, stopped!.hits]).toEqual([kind, 3, 3]);
    // The story pauses for 2.1 and 1.1 seconds; a busy machine takes longer.
    expect(killed!.ttl).toBeLessThanOrEqual(58);
    expect(stopped!.ttl).toBeLessThan(killed!.ttl);
    expect(stopped!.ttl).toBeGreaterThan(0);
  }
}, 100_000);
