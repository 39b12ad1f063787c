import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KINDS } from './app.module.js';
import { show } from './show.js';

const shown: Record<string, unknown> = {};
for (const kind of KINDS) {
  const folder = mkdtempSync(join(tmpdir(), 'sample-05-'));
  try {
    shown[kind] = await show(folder, kind, (line) => console.log(line));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
console.log(JSON.stringify(shown));
