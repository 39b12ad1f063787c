/**
 * Builds lib twice, as ES modules into dist/esm and as CommonJS into dist/cjs. With `--if-stale` only when something in lib
 * is newer than what was built.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = join(root, 'node_modules/typescript/bin/tsc');
const lastFile = join(root, 'dist/cjs/package.json');

if (process.argv.includes('--if-stale') && !isStale()) process.exit();
rmSync(join(root, 'dist'), { recursive: true, force: true });
for (const project of ['tsconfig.build.json', 'tsconfig.cjs.json']) {
  try {
    execFileSync(process.execPath, [tsc, '-p', project], { cwd: root, stdio: 'inherit' });
  } catch (error) {
    // tsc has printed what is wrong.
    process.exit(error.status ?? 1);
  }
}
writeFileSync(lastFile, '{ "type": "commonjs" }\n');

function isStale() {
  const lib = join(root, 'lib');
  const changedMs = readdirSync(lib, { recursive: true }).map(
    (path) => statSync(join(lib, path)).mtimeMs,
  );
  return !existsSync(lastFile) || statSync(lastFile).mtimeMs <= Math.max(...changedMs);
}
