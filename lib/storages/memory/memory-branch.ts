import { GLOBAL_SCOPE, type ScopeNode, type ScopePath } from '../../core/scope.js';
import type { MemoryRecord } from './memory-record.js';

/** One scope's place in the tree of entries. Exists only while there are entries in it or below it (P16). */
export class MemoryBranch {
  readonly records = new Map<string, MemoryRecord>();
  readonly children = new Map<ScopeNode, Map<string, MemoryBranch>>();
  /** Records of the whole subtree by tag; made when the first tagged one comes. */
  tagged: Map<string, Set<MemoryRecord>> | undefined;
  /** Records in the whole subtree, expired ones included until they are swept. */
  count = 0;

  constructor(
    readonly path: ScopePath,
    readonly parent: MemoryBranch | undefined,
  ) {}

  static root(): MemoryBranch {
    return new MemoryBranch(GLOBAL_SCOPE, undefined);
  }

  /** The branch at `path` below this root, or `undefined`. One Map look-up per level, and no string is built. */
  find(path: ScopePath): MemoryBranch | undefined {
    const { level, ids } = path;
    if (level === undefined) return this;
    let branch: MemoryBranch | undefined = this;
    for (let at = 0; at < ids.length && branch !== undefined; at++)
      branch = branch.children.get(level.chain[at]!)?.get(ids[at]!);
    return branch;
  }

  /** The branch at `path`, grown where it is missing. */
  grow(path: ScopePath): MemoryBranch {
    const found = this.find(path);
    if (found) return found;
    const parent = this.grow(path.parent!);
    const branch = new MemoryBranch(path, parent);
    const level = path.level!;
    let siblings = parent.children.get(level);
    if (!siblings) parent.children.set(level, (siblings = new Map<string, MemoryBranch>()));
    siblings.set(path.ids.at(-1)!, branch);
    return branch;
  }

  add(record: MemoryRecord): void {
    this.records.set(record.key, record);
    for (let branch: MemoryBranch | undefined = this; branch; branch = branch.parent) {
      branch.count++;
      for (const tag of record.tags) branch.#tag(tag).add(record);
    }
  }

  remove(record: MemoryRecord): void {
    this.records.delete(record.key);
    for (let branch: MemoryBranch | undefined = this; branch; branch = branch.parent) {
      branch.count--;
      for (const tag of record.tags) branch.#untag(tag, record);
      if (branch.count === 0) branch.#prune();
    }
  }

  /** All records of the subtree. */
  *walk(): Generator<MemoryRecord> {
    yield* this.records.values();
    for (const siblings of this.children.values())
      for (const child of siblings.values()) yield* child.walk();
  }

  #tag(tag: string): Set<MemoryRecord> {
    this.tagged ??= new Map();
    let records = this.tagged.get(tag);
    if (!records) this.tagged.set(tag, (records = new Set()));
    return records;
  }

  #untag(tag: string, record: MemoryRecord): void {
    const records = this.tagged?.get(tag);
    records?.delete(record);
    if (records?.size === 0) this.tagged!.delete(tag);
  }

  /** An empty branch leaves its parent. */
  #prune(): void {
    const { level, ids } = this.path;
    const siblings = level && this.parent?.children.get(level);
    if (!siblings || siblings.get(ids.at(-1)!) !== this) return;
    siblings.delete(ids.at(-1)!);
    if (siblings.size === 0) this.parent!.children.delete(level);
  }
}
