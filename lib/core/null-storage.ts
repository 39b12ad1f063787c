import type { ChangeResult, Change, EntryAddress, ListedEntry, OpenStorage } from './storage.js';
import { InvalidOptionsError } from './errors.js';

/** Keeps nothing: what a cache with `enabled: false` uses. Every read misses. */
export class NullStorage implements OpenStorage {
  readonly type = 'none';
  readonly holds = 'values';

  read(): undefined {
    return undefined;
  }

  readMany(at: readonly EntryAddress[]): undefined[] {
    return at.map(() => undefined);
  }

  write(): boolean {
    return false;
  }

  writeMany(): void {}

  remove(): boolean {
    return false;
  }

  removeMany(): number {
    return 0;
  }

  touch(): boolean {
    return false;
  }

  async change(_at: EntryAddress, change: Change): Promise<ChangeResult> {
    return change(undefined);
  }

  increment(_at: EntryAddress, by: number): number {
    if (!Number.isFinite(by))
      throw new InvalidOptionsError('increment: "by" must be a finite number.');
    return by;
  }

  evictScope(): number {
    return 0;
  }

  evictTags(): number {
    return 0;
  }

  expire(): number {
    return 0;
  }

  clear(): void {}

  async *list(): AsyncGenerator<ListedEntry> {}

  count(): number {
    return 0;
  }

  removeExpired(): number {
    return 0;
  }

  removeIdle(): number {
    return 0;
  }

  async close(): Promise<void> {}
}
