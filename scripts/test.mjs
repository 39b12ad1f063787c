/**
 * Runs Jest with the given arguments and prints, as the last line, `N passed, N failed`.
 * A test file that could not run counts as one failure.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'nestjs-scoped-cache-test-'));
const report = join(folder, 'result.json');

// The tests of two samples would build it at the same time, each under the feet of the other.
if (mayRunSamples(process.argv.slice(2)))
  execFileSync(process.execPath, [join(root, 'scripts/build.mjs'), '--if-stale'], {
    cwd: root,
    stdio: 'inherit',
  });

const jest = spawn(
  process.execPath,
  [
    '--disable-warning=ExperimentalWarning',
    '--experimental-vm-modules',
    join(root, 'node_modules/jest/bin/jest.js'),
    '--json',
    `--outputFile=${report}`,
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: 'inherit' },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => jest.kill(signal));

jest.on('close', (code) => {
  const { passed, failed } = counts();
  rmSync(folder, { recursive: true, force: true });
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = code ?? 1;
});

/** Not when somebody names other tests than theirs, and wants them soon. */
function mayRunSamples([first, ...others]) {
  const isChoice = first !== undefined && !first.startsWith('-');
  return !isChoice || [first, ...others].some((argument) => argument.includes('sample'));
}

function counts() {
  try {
    const result = JSON.parse(readFileSync(report, 'utf8'));
    return {
      passed: result.numPassedTests,
      failed: result.numFailedTests + result.numRuntimeErrorTestSuites,
    };
  } catch (error) {
    // Jest ended before it wrote its result; it has said why.
    if (error.code !== 'ENOENT') console.error(error);
    return { passed: 0, failed: 1 };
  }
}
