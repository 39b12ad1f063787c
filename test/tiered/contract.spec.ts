import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, it } from '@jest/globals';
import { memoryStorage, tieredStorage } from 'nestjs-scoped-cache';
import { fileStorage } from 'nestjs-scoped-cache/file';
import { storageContract } from 'nestjs-scoped-cache/testing';

const directory = mkdtempSync(join(tmpdir(), 'nsc-tiered-contract-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** By the far tier's knowledge of reads: near hits do not reach it. */
const cannot = ['idle'] as const;

storageContract({
  name: 'CA-44 memory before memory',
  makeStorage: () => tieredStorage({ near: memoryStorage(), far: memoryStorage() }),
  cannot,
  describe,
  it,
});

storageContract({
  name: 'CA-44 memory before files, without a bus',
  makeStorage: () =>
    tieredStorage({
      near: memoryStorage(),
      far: fileStorage({ directory: join(directory, 'cache') }),
    }),
  shared: 'fleet',
  // The default of nearTtl where there is no bus.
  delayMs: 1_000,
  cannot,
  describe,
  it,
});
