/**
 * Compiles a sample and runs it in this process: `node sample/run.mjs 01-multi-tenant-api`.
 * A sample imports `nestjs-scoped-cache` as its users do, from the built package, which
 * sample/node_modules links to.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const samples = dirname(fileURLToPath(import.meta.url));
const root = dirname(samples);
const folder = join(samples, requestedSample());

run(join(root, 'scripts/build.mjs'), '--if-stale');
linkPackage();
rmSync(join(folder, 'dist'), { recursive: true, force: true });
run(join(root, 'node_modules/typescript/bin/tsc'), '-p', join(folder, 'tsconfig.json'));

if (process.env.npm_lifecycle_event !== undefined) stopWithNpm();
process.setSourceMapsEnabled(true);
process.env.PORT ??= await freePort(3000);
process.env.WAREHOUSE_PORT ??= await freePort(3001);
await import(pathToFileURL(join(folder, 'dist/main.js')).href);

function requestedSample() {
  const names = readdirSync(samples).filter((name) => /^\d\d-/.test(name));
  const name = process.argv[2];
  if (names.includes(name)) return name;
  console.error(`Usage: node sample/run.mjs <sample>, one of:\n  ${names.join('\n  ')}`);
  process.exit(1);
}

function linkPackage() {
  const link = join(samples, 'node_modules/nestjs-scoped-cache');
  if (existsSync(link)) return;
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(root, link, 'junction');
}

/** A SIGTERM sent to npm ends the shell that npm started, but does not reach this process. */
function stopWithNpm() {
  const shell = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, 200);
  watch.unref();
}

/** `wanted`, or any other port where something listens on that one already. */
function freePort(wanted) {
  return new Promise((resolve) => {
    const server = createServer()
      .once('error', () => resolve(freePort(0)))
      .listen(wanted, '127.0.0.1', () => {
        const { port } = server.address();
        server.close(() => resolve(String(port)));
      });
  });
}

function run(...command) {
  try {
    execFileSync(process.execPath, command, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  } catch (error) {
    // The command has printed what is wrong.
    process.exit(error.status ?? 1);
  }
}
