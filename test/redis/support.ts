import { nodePlatform } from '../../lib/platform/node-platform.js';
import type { CacheFault } from '../../lib/core/cache-listener.js';
import type { NewEntry } from '../../lib/core/entry.js';
import { ClassCodecs } from '../../lib/core/value/class-codecs.js';
import { ScopeTree } from '../../lib/core/scope-tree.js';
import { GLOBAL_SCOPE, type ScopePath, type ScopeSelector } from '../../lib/core/scope.js';
import type { EntryAddress, StorageHost } from '../../lib/core/storage.js';
import { richSerializer } from '../../lib/core/value/serializer.js';

export const TREE = new ScopeTree(['org', 'user', 'session']);

export interface TestHost extends StorageHost {
  readonly faults: CacheFault[];
}

/** What a cache would give a storage. */
export function testHost(overrides: Partial<StorageHost> = {}): TestHost {
  const faults: CacheFault[] = [];
  return {
    ...nodePlatform,
    namespace: 'test',
    scopes: TREE,
    serializer: richSerializer(new ClassCodecs()),
    rules: [],
    listener: { onFault: (fault) => void faults.push(fault) },
    ...overrides,
    faults,
  };
}

export function scope(selector: ScopeSelector): ScopePath {
  return selector === 'global' ? GLOBAL_SCOPE : TREE.pathOf(selector, undefined);
}

export function at(key: string, selector: ScopeSelector = 'global'): EntryAddress {
  return { scope: scope(selector), key };
}

export function entry(value: unknown, overrides: Partial<NewEntry> = {}): NewEntry {
  return { value, ttlMs: 60_000, graceMs: 0, sliding: false, tags: [], ...overrides };
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
