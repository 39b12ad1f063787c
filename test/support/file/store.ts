import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CacheFault, CacheListener } from '../../../lib/core/cache-listener.js';
import { systemClock, type Clock } from '../../../lib/core/clock.js';
import type { NewEntry, RemovalReason } from '../../../lib/core/entry.js';
import { ScopeTree } from '../../../lib/core/scope-tree.js';
import type { ScopePath, ScopeSelector } from '../../../lib/core/scope.js';
import type { EntryAddress, StorageHost } from '../../../lib/core/storage.js';
import type { Serializer } from '../../../lib/core/value/serializer.js';
import { fileStorage, type FileStorageOptions } from '../../../lib/file.js';
import { FileStore } from '../../../lib/storages/file/file-store.js';
import { memoryStorage } from '../../../lib/storages/memory/index.js';
import type { OpenStorage } from '../../../lib/core/storage.js';
import { nodePlatform } from '../../../lib/platform/node-platform.js';
import { deserialize, serialize } from 'node:v8';

/** Keeps faults and removals for one-line assertions. */
export class Recorder implements CacheListener {
  readonly faults: CacheFault[] = [];
  readonly removals: [RemovalReason, number][] = [];
  onFault(fault: CacheFault): void {
    this.faults.push(fault);
  }
  onRemoval(reason: RemovalReason, count: number): void {
    this.removals.push([reason, count]);
  }
}

/** Enough for these tests; what serializers do is tested elsewhere. */
const v8Serializer: Serializer = {
  name: 'v8',
  serialize: (value) => serialize(value),
  deserialize: (bytes) => deserialize(bytes) as unknown,
};

export const scopes = new ScopeTree(['org', 'user', 'session']);

export interface TestHost extends StorageHost {
  readonly listener: Recorder;
}

export function makeHost(over: Partial<StorageHost> & { clock?: Clock } = {}): TestHost {
  const listener = new Recorder();
  return {
    ...nodePlatform,
    clock: systemClock,
    namespace: 'cache',
    scopes,
    serializer: v8Serializer,
    rules: [],
    ...over,
    listener,
  };
}

export function scope(selector: ScopeSelector = 'global'): ScopePath {
  return scopes.pathOf(selector, undefined);
}

export function at(key: string, selector: ScopeSelector = 'global'): EntryAddress {
  return { scope: scope(selector), key };
}

export function entry(value: unknown, over: Partial<NewEntry> = {}): NewEntry {
  return { value, ttlMs: 60_000, graceMs: 0, sliding: false, tags: [], ...over };
}

/** A memory storage, for snapshots of it. */
export function memoryStore(host: StorageHost): OpenStorage {
  return memoryStorage({ maxEntries: 2_000_000, maxBytes: Infinity }).open(host);
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Folders and storages of one test, and their end. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'nsc-file-'));
  readonly #open: FileStore[] = [];

  store(options: Partial<FileStorageOptions> = {}, host: StorageHost = makeHost()): FileStore {
    const store = fileStorage({ directory: join(this.path, 'cache'), ...options }).open(
      host,
    ) as FileStore;
    this.#open.push(store);
    return store;
  }

  async remove(): Promise<void> {
    for (const store of this.#open) await store.close();
    rmSync(this.path, { recursive: true, force: true });
  }
}

/**
 * How long the event loop was kept busy at a time while `work` ran, in ms of processor time: on a machine that others use
 * as well, the clock on the wall mostly tells how busy they are.
 */
export async function busyStretches(
  work: () => Promise<unknown>,
): Promise<{ readonly longest: number; readonly p999: number }> {
  const stretches: number[] = [];
  let isOver = false;
  let before = process.cpuUsage();
  const tick = (): void => {
    const { user, system } = process.cpuUsage(before);
    stretches.push((user + system) / 1_000);
    before = process.cpuUsage();
    if (!isOver) setImmediate(tick);
  };
  setImmediate(tick);
  await work();
  isOver = true;
  stretches.sort((one, other) => one - other);
  return { longest: stretches.at(-1)!, p999: stretches[Math.floor(stretches.length * 0.999)]! };
}
