/** The long form of the crash tests, 240 kills of a write and 240 of a dump: `node test/file/crash-long.mjs [rounds]`. */
import { spawnSync } from 'node:child_process';

const { status } = spawnSync(
  process.execPath,
  ['scripts/test.mjs', 'test/file/system', '-t', 'kill -9'],
  {
    stdio: 'inherit',
    env: { ...process.env, CRASH_ROUNDS: process.argv[2] ?? '240' },
  },
);
process.exitCode = status ?? 1;
