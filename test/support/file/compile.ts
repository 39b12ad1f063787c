import { transformFileSync } from '@swc/core';
import { mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** Compiles lib/core, lib/platform and the file storage into a new folder, for processes that run without Jest. */
export function compileLib(): string {
  const out = mkdtempSync(join(tmpdir(), 'nsc-lib-'));
  writeFileSync(join(out, 'package.json'), '{ "type": "module" }');
  symlinkSync(resolve('node_modules'), join(out, 'node_modules'));
  for (const part of ['core', 'platform', 'storages/file', 'storages/memory'])
    compile(join('lib', part), join(out, part));
  writeJs(join('lib', 'file.ts'), join(out, 'file.js'));
  return out;
}

function compile(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const item of readdirSync(from, { withFileTypes: true })) {
    if (item.isDirectory()) compile(join(from, item.name), join(to, item.name));
    else if (/(?<!\.spec)\.ts$/.test(item.name))
      writeJs(join(from, item.name), join(to, item.name.replace(/ts$/, 'js')));
  }
}

function writeJs(from: string, to: string): void {
  const { code } = transformFileSync(from, {
    swcrc: false,
    jsc: { target: 'es2022', parser: { syntax: 'typescript', decorators: true } },
    module: { type: 'es6' },
  });
  writeFileSync(to, code);
}
