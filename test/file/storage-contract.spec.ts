import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, it } from '@jest/globals';
import { fileStorage } from 'nestjs-scoped-cache/file';
import { storageContract } from 'nestjs-scoped-cache/testing';

const directory = mkdtempSync(join(tmpdir(), 'nsc-contract-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

storageContract({
  name: 'file',
  shared: 'fleet',
  makeStorage: () => fileStorage({ directory: join(directory, 'cache') }),
  describe,
  it,
});
