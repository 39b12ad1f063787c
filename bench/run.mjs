/**
 * Runs one benchmark: `node bench/run.mjs memory [--quick]`. Transpiles bench/*.ts, links the built package, installs the
 * peers when they are missing, and writes what the benchmark prints as JSON to bench/results/NAME.json.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bench = dirname(fileURLToPath(import.meta.url));
const root = dirname(bench);
const { transformSync } = createRequire(join(root, 'package.json'))('@swc/core');
const [name, ...flags] = process.argv.slice(2);
const names = readdirSync(bench)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3));
if (!names.includes(name)) {
  console.error(`Usage: node bench/run.mjs <name> [--quick], one of: ${names.join(', ')}`);
  process.exit(1);
}

if (!existsSync(join(bench, 'node_modules')))
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], {
    cwd: bench,
    stdio: 'inherit',
  });
execFileSync(process.execPath, [join(root, 'scripts/build.mjs')], { cwd: root, stdio: 'inherit' });
const link = join(bench, 'node_modules/nestjs-scoped-cache');
if (!existsSync(link)) symlinkSync(root, link, 'dir');

const out = join(bench, 'dist');
rmSync(out, { recursive: true, force: true });
for (const folder of ['.', 'support']) {
  mkdirSync(join(out, folder), { recursive: true });
  for (const file of readdirSync(join(bench, folder)).filter((one) => one.endsWith('.ts')))
    writeFileSync(
      join(out, folder, file.replace(/\.ts$/, '.js')),
      transpile(join(bench, folder, file)),
    );
}
execFileSync(process.execPath, ['--expose-gc', join(out, `${name}.js`), ...flags], {
  cwd: bench,
  stdio: 'inherit',
});

function transpile(file) {
  return transformSync(readFileSync(file, 'utf8'), {
    filename: file,
    jsc: {
      target: 'es2022',
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
    },
    module: { type: 'es6' },
  }).code;
}
