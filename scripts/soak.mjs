/**
 * Several processes, random work, and faults from outside, for as long as you like:
 *
 *   npm run soak -- --storage redis --minutes 5
 *
 * --storage   redis, tiered, cluster, sentinel or file; several with commas. Default: all
 * --minutes   for each storage. Default 2
 * --seed      repeats the faults and the choices of the processes (not their timing). Printed by every run
 * --faults    only those whose names match this regular expression. 'old dump' is done only when asked for: it does break
 *             a promise (decision 0050)
 * --degrade   with onStorageError: 'degrade' rather than 'throw'
 * --history   writes everything that was recorded to this file, as JSON
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    storage: { type: 'string', default: 'redis,tiered,cluster,sentinel,file' },
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string' },
    faults: { type: 'string' },
    degrade: { type: 'boolean' },
    history: { type: 'string' },
  },
});
const settings = Object.entries(values).map(([name, value]) => [
  `SOAK_${name.toUpperCase()}`,
  String(value),
]);
const { status } = spawnSync(
  process.execPath,
  ['scripts/test.mjs', 'test/soak/soak.spec.ts', '--maxWorkers=1'],
  { stdio: 'inherit', env: { ...process.env, ...Object.fromEntries(settings) } },
);
process.exitCode = status ?? 1;
