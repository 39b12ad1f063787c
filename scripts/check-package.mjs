/** Checks what would be published: the tarball as other tools see it, and what its types import. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const TYPES_MAY_IMPORT = /^(?:@nestjs\/common|@nestjs\/core|rxjs|reflect-metadata)(?:\/|$)/;
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]|<reference types="([^"]+)"/g;

const ENTRIES = ['index', 'redis', 'file', 'testing/index'];
const STRICT = [
  '--ignoreConfig --noEmit --strict --exactOptionalPropertyTypes',
  '--skipLibCheck false --target es2022 --module nodenext --types node',
].flatMap((line) => line.split(' '));

const problems = foreignImports(join(root, 'dist/esm/index.d.ts'));
if (problems.length > 0) {
  console.error(`The types of the entry point "." name other packages:\n${problems.join('\n')}`);
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'nestjs-scoped-cache-pack-'));
try {
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
      cwd: root,
      encoding: 'utf8',
    }),
  );
  const tarball = join(folder, packed.filename);
  // As a consumer without skipLibCheck sees them; what is stripped as internal may be named by what is not.
  tool('tsc', ...STRICT, ...ENTRIES.map((entry) => `dist/esm/${entry}.d.ts`));
  tool('publint', tarball, '--strict');
  tool('attw', tarball);
} catch (error) {
  // The tool has printed what is wrong.
  process.exitCode = error.status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function tool(name, ...args) {
  execFileSync(join(root, 'node_modules/.bin', name), args, { cwd: root, stdio: 'inherit' });
}

/** Every package that the declarations reachable from `entry` name and should not. */
function foreignImports(entry) {
  const seen = new Set([entry]);
  const found = [];
  for (const file of seen) {
    for (const [, imported, referenced] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
      const name = imported ?? referenced;
      if (name.startsWith('.')) seen.add(resolve(dirname(file), name.replace(/\.js$/, '.d.ts')));
      else if (!isAllowed(name)) found.push(`  ${file}: ${name}`);
    }
  }
  return found;
}

function isAllowed(name) {
  return TYPES_MAY_IMPORT.test(name) || name === 'node' || builtinModules.includes(bare(name));
}

function bare(name) {
  return name.replace(/^node:/, '');
}
