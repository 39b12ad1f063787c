import { GLOBAL_SCOPE, type ScopeNode, type ScopePath } from '../../core/scope.js';
import type { MemoryRecord } from './memory-record.js';

/** What a scope takes while there is anything in it, and what a tag takes at each level where it is looked for. */
const BRANCH_BYTES = 650;
const TAG_BYTES = 200;

/** Estimated bytes of a tree beside those of its records. */
interface Upkeep {
  bytes: number;
}

/** One scope's place in the tree of entries. Exists only while there are entries in it or below it (P16). */
export class MemoryBranch {
  readonly records = new Map<string, MemoryRecord>();
  readonly children = new Map<ScopeNode, Map<string, MemoryBranch>>();
  /** The level looked for last and its children: almost always the only one, so a look-up per level is saved. */
  private level: ScopeNode | undefined = undefined;
  private ofLevel: Map<string, MemoryBranch> | undefined = undefined;
  /** Records of the whole subtree by tag; made when the first tagged one comes. */
  tagged: Map<string, Set<MemoryRecord>> | undefined;
  /** Records in the whole subtree, expired ones included until they are swept. */
  count = 0;
  /** How many of them are stale: past their TTL, within their grace. */
  stale = 0;

  constructor(
    readonly path: ScopePath,
    readonly parent: MemoryBranch | undefined,
    /** One for the whole tree. */
    readonly upkeep: Upkeep,
  ) {}

  static root(): MemoryBranch {
    return new MemoryBranch(GLOBAL_SCOPE, undefined, { bytes: 0 });
  }

  /** The branch at `path` below this root, or `undefined`. One Map look-up per level, and no string is built. */
  find(path: ScopePath): MemoryBranch | undefined {
    const { level, ids } = path;
    if (level === undefined) return this;
    let branch: MemoryBranch | undefined = this;
    for (let at = 0; at < ids.length && branch !== undefined; at++)
      branch = branch.#childrenAt(level.chain[at]!)?.get(ids[at]!);
    return branch;
  }

  /** Takes the whole subtree out of the tree above; says how many records that were. The records themselves stay as they are. */
  cut(): number {
    const { count, stale } = this;
    for (let above = this.parent; above; above = above.parent) {
      above.count -= count;
      above.stale -= stale;
      for (const [tag, records] of this.tagged ?? [])
        for (const record of records) above.#untag(tag, record);
      if (above.count === 0) above.#leave();
    }
    this.#leave();
    this.#forgetUpkeep();
    return count;
  }

  /** Calls `visit` with every record of the subtree. */
  forEach(visit: (record: MemoryRecord) => void): void {
    this.records.forEach(visit);
    for (const siblings of this.children.values())
      for (const child of siblings.values()) child.forEach(visit);
  }

  #childrenAt(level: ScopeNode): Map<string, MemoryBranch> | undefined {
    if (this.level === level) return this.ofLevel;
    const children = this.children.get(level);
    if (children) {
      this.level = level;
      this.ofLevel = children;
    }
    return children;
  }

  /** The branch at `path`, grown where it is missing. */
  grow(path: ScopePath): MemoryBranch {
    const found = this.find(path);
    if (found) return found;
    const parent = this.grow(path.parent!);
    const branch = new MemoryBranch(path, parent, this.upkeep);
    this.upkeep.bytes += bytesOf(path);
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

  /** Puts `next` where `old` was, in one step. */
  replace(old: MemoryRecord, next: MemoryRecord): void {
    this.records.set(next.key, next);
    if (old.isStale) this.#countStale(-1);
    if (old.tags.length === 0 && next.tags.length === 0) return;
    for (let branch: MemoryBranch | undefined = this; branch; branch = branch.parent) {
      for (const tag of old.tags) branch.#untag(tag, old);
      for (const tag of next.tags) branch.#tag(tag).add(next);
    }
  }

  /** To be called once, when a record's TTL is over and its grace is not. */
  becameStale(record: MemoryRecord): void {
    record.isStale = true;
    this.#countStale(1);
  }

  remove(record: MemoryRecord): void {
    this.records.delete(record.key);
    if (record.isStale) this.#countStale(-1);
    for (let branch: MemoryBranch | undefined = this; branch; branch = branch.parent) {
      branch.count--;
      for (const tag of record.tags) branch.#untag(tag, record);
      if (branch.count === 0) branch.#leave();
    }
  }

  /** All records of the subtree, or of this scope alone. Ends, however many more are written meanwhile: new ones come last in a Map. */
  *walk(deep = true): Generator<MemoryRecord> {
    yield* firstOf(this.records);
    if (!deep) return;
    for (const siblings of firstOf(this.children))
      for (const child of firstOf(siblings)) yield* child.walk();
  }

  #countStale(by: number): void {
    for (let branch: MemoryBranch | undefined = this; branch; branch = branch.parent)
      branch.stale += by;
  }

  #tag(tag: string): Set<MemoryRecord> {
    this.tagged ??= new Map();
    let records = this.tagged.get(tag);
    if (!records) {
      this.tagged.set(tag, (records = new Set()));
      this.upkeep.bytes += TAG_BYTES;
    }
    return records;
  }

  #untag(tag: string, record: MemoryRecord): void {
    const records = this.tagged?.get(tag);
    records?.delete(record);
    if (records?.size !== 0) return;
    this.tagged!.delete(tag);
    this.upkeep.bytes -= TAG_BYTES;
  }

  /** Of a subtree that was cut: all but the branch itself, which has left already. */
  #forgetUpkeep(): void {
    this.upkeep.bytes -= TAG_BYTES * (this.tagged?.size ?? 0);
    for (const siblings of this.children.values())
      for (const child of siblings.values()) {
        this.upkeep.bytes -= bytesOf(child.path);
        child.#forgetUpkeep();
      }
  }

  /** An empty branch leaves its parent. */
  #leave(): void {
    const { level, ids } = this.path;
    const siblings = level && this.parent?.children.get(level);
    if (!siblings || siblings.get(ids.at(-1)!) !== this) return;
    siblings.delete(ids.at(-1)!);
    this.upkeep.bytes -= bytesOf(this.path);
    if (siblings.size > 0) return;
    this.parent!.children.delete(level);
    this.parent!.level = this.parent!.ofLevel = undefined;
  }
}

function bytesOf({ ids }: ScopePath): number {
  return BRANCH_BYTES + ids.at(-1)!.length * 2;
}

/** The values of a Map, as many as there are now. */
function* firstOf<T>(map: ReadonlyMap<unknown, T>): Generator<T> {
  let left = map.size;
  if (left === 0) return;
  for (const value of map.values()) {
    yield value;
    if (--left === 0) return;
  }
}
