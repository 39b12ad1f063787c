/**
 * Runs the tests that meet Nest against Nest 11, in a copy of this repository: `npm run test:nest11 [-- paths]`.
 * The copy holds what git knows and what it would add; it is removed afterwards. Needs the package registry.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The last versions that go with Nest 11. */
const NEST_11 = {
  '@nestjs/apollo': '^13.0.0',
  '@nestjs/common': '^11.0.0',
  '@nestjs/core': '^11.0.0',
  '@nestjs/graphql': '^13.0.0',
  '@nestjs/jwt': '^11.0.0',
  '@nestjs/microservices': '^11.0.0',
  '@nestjs/platform-express': '^11.0.0',
  '@nestjs/platform-fastify': '^11.0.0',
  '@nestjs/platform-socket.io': '^11.0.0',
  '@nestjs/platform-ws': '^11.0.0',
  '@nestjs/schedule': '^6.0.0',
  '@nestjs/testing': '^11.0.0',
  '@nestjs/websockets': '^11.0.0',
};
const MEETING_NEST = ['test/module', 'test/e2e', 'test/spring', 'sample/0[123]'];

const root = fileURLToPath(new URL('..', import.meta.url));
const given = process.argv.slice(2);
const copy = mkdtempSync(join(tmpdir(), 'nestjs-scoped-cache-nest11-'));
try {
  copyRepository();
  useNest11();
  const npm = ['install', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  execFileSync('npm', npm, { cwd: copy, stdio: 'inherit' });
  const tests = given.length > 0 ? given : MEETING_NEST;
  process.exitCode =
    spawnSync('node', ['scripts/test.mjs', ...tests], { cwd: copy, stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(copy, { recursive: true, force: true });
}

function copyRepository() {
  const listed = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const files = execFileSync('git', listed, { cwd: root, encoding: 'utf8' }).split('\0');
  for (const file of files.filter((one) => one !== '' && one !== 'package-lock.json'))
    cpSync(join(root, file), join(copy, file));
}

function useNest11() {
  const path = join(copy, 'package.json');
  const own = JSON.parse(readFileSync(path, 'utf8'));
  for (const [name, version] of Object.entries(NEST_11))
    if (own.devDependencies[name]) own.devDependencies[name] = version;
  writeFileSync(path, JSON.stringify(own, null, 2));
}
