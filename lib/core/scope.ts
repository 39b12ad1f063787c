/** An id as callers write it. Numbers and bigints name the same scope as their decimal text. */
export type ScopeId = string | number | bigint;

/** Ids by level name, every ancestor present: `{ org: 'o1', user: 'u1' }`. The deepest named level is meant. */
export type ScopeIds = Readonly<Record<string, ScopeId>>;

/** `'global'`, a level's name (ids come from the current request context), or explicit ids. */
export type ScopeSelector = 'global' | (string & {}) | ScopeIds;

/** A level with its own resolver or children; see the `scopes` option. */
export interface ScopeLevelOptions {
  /** Letters, digits, `_` and `-`; unique in the whole tree; not `global`. */
  readonly name: string;
  /**
   * Finds this level's id in the application's request context. Returns `undefined` or `null` when there is none.
   * Default: the built-in rules for `org`, `user` and `session`; for other names, `user[name + 'Id']`.
   */
  readonly resolve?: ScopeResolver;
  /** Levels nested in this one. A list of names is one chain. */
  readonly children?: readonly ScopeLevel[];
}

/** Reads one level's id from a request context (`undefined` or `null`: there is none). Must not throw for a missing one. */
// oxlint-disable-next-line typescript/no-explicit-any -- the context's shape belongs to the adapter
export type ScopeResolver = (context: any) => unknown;

/** One entry of the `scopes` option: a name, or a level with details. */
export type ScopeLevel = string | ScopeLevelOptions;

/** A level of the tree, checked and linked. */
export interface ScopeNode {
  readonly name: string;
  /** Root level first, this level last. */
  readonly chain: readonly ScopeNode[];
  readonly resolve: ScopeResolver | undefined;
}

/** Where `scope: 'user'` finds its ids. The core knows no requests; an adapter supplies this. */
export interface ScopeContext {
  /** The id of `level` here and now, or `undefined`. */
  idOf(level: ScopeNode): unknown;
  /** What `idOf` looks at, for the message of a {@link MissingScopeError}. */
  lookedAt(level: ScopeNode): string;
  /** Runs `work` with `ids` answering before anything else. */
  run<T>(ids: ScopeIds, work: () => T): T;
}

/**
 * A place in the scope tree: the level and the ids from the root down to it. Immutable.
 * Two paths are the same place exactly when their `id`s are equal.
 */
export class ScopePath {
  // Not a #field: paths are made for every scoped call, and plain fields are cheaper to set up.
  private text: string | undefined = undefined;

  /** @internal built by {@link ScopeTree} */
  constructor(
    /** `undefined` for the global scope. */
    readonly level: ScopeNode | undefined,
    /** One id for each level of `level.chain`. */
    readonly ids: readonly string[],
  ) {}

  /** Injective text form: `org:o1/user:u1`; the empty string for global. Special characters are `%`-escaped. */
  get id(): string {
    return (this.text ??= this.level
      ? this.level.chain.map((level, at) => `${level.name}:${escapeId(this.ids[at]!)}`).join('/')
      : '');
  }

  /** For messages and logs. */
  toString(): string {
    return this.id === '' ? 'global' : this.id;
  }

  /** Whether this is `ancestor` or lies below it. O(depth). */
  isWithin(ancestor: ScopePath): boolean {
    const { level } = ancestor;
    if (!level) return true;
    const depth = ancestor.ids.length;
    if (this.ids.length < depth || this.level?.chain[depth - 1] !== level) return false;
    for (let at = depth - 1; at >= 0; at--) if (this.ids[at] !== ancestor.ids[at]) return false;
    return true;
  }

  /** The next wider place; `undefined` above global. */
  get parent(): ScopePath | undefined {
    if (!this.level) return undefined;
    return this.ids.length === 1
      ? GLOBAL_SCOPE
      : new ScopePath(this.level.chain[this.ids.length - 2], this.ids.slice(0, -1));
  }

  /** This place and all wider ones, deepest first, ending with global. */
  lineage(): ScopePath[] {
    const all: ScopePath[] = [];
    for (let path: ScopePath | undefined = this; path; path = path.parent) all.push(path);
    return all;
  }

  /** As explicit ids, to be given back to any `scope` option; `'global'` for the global scope. */
  toSelector(): ScopeSelector {
    if (!this.level) return 'global';
    return Object.fromEntries(this.level.chain.map((level, at) => [level.name, this.ids[at]!]));
  }
}

/** The place every other one lies below. */
export const GLOBAL_SCOPE: ScopePath = new ScopePath(undefined, []);

const PLAIN_ID = /^[A-Za-z0-9_.@~-]*$/;
const SPECIAL = /[^A-Za-z0-9_.@~-]/g;

/** Every UTF-16 unit outside a small safe set becomes `%` and four hex digits, so nothing is ambiguous or lossy. */
function escapeId(id: string): string {
  return PLAIN_ID.test(id)
    ? id
    : id.replace(SPECIAL, (unit) => {
        let hex = '';
        for (let at = 0; at < unit.length; at++)
          hex += `%${unit.charCodeAt(at).toString(16).padStart(4, '0')}`;
        return hex;
      });
}

/** What {@link ScopePath.id} escaped. */
export function unescapeId(text: string): string {
  return text.replace(/%([0-9a-f]{4})/g, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
}
