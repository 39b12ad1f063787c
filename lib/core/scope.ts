import {
  describe,
  InvalidKeyError,
  InvalidOptionsError,
  MissingScopeError,
  UnknownScopeError,
} from './errors.js';
import { byteLengthExceeds, KEY_BYTES_MAX } from './limits.js';

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
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the context's shape belongs to the adapter
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

function unescapeId(text: string): string {
  return text.replace(/%([0-9a-f]{4})/g, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
}

/** The levels of one cache and the paths in them. Built once from the `scopes` option. */
export class ScopeTree {
  readonly #levels = new Map<string, ScopeNode>();
  /** The same levels, for the hot path. */
  readonly #all: ScopeNode[];
  readonly #isShortChain: boolean;

  /** @throws InvalidOptionsError for empty, reserved, repeated or malformed names */
  constructor(levels: readonly ScopeLevel[]) {
    if (!Array.isArray(levels))
      throw new InvalidOptionsError(`scopes: expected a list of levels, got ${describe(levels)}.`);
    this.#addLevels(levels, []);
    this.#all = [...this.#levels.values()];
    this.#isShortChain =
      this.#all.length <= 3 && this.#all.every((level, depth) => level.chain.length === depth + 1);
  }

  /** Level names, roots first. A copy. */
  get names(): string[] {
    return [...this.#levels.keys()];
  }

  /** All levels, roots first. A copy. */
  get levels(): ScopeNode[] {
    return [...this.#levels.values()];
  }

  /**
   * The place that a selector means.
   * @throws UnknownScopeError for a level that the tree does not have
   * @throws MissingScopeError when an id, of the level or of an ancestor, is not there
   * @throws InvalidKeyError when an id is empty, over 64 kB or of the wrong kind
   */
  pathOf(selector: ScopeSelector | undefined, context: ScopeContext | undefined): ScopePath {
    if (selector === undefined || selector === 'global') return GLOBAL_SCOPE;
    if (typeof selector === 'string') return this.#pathFromContext(selector, context);
    return this.#pathOfWellFormed(selector) ?? this.#pathFromIds(selector);
  }

  /** The path whose `id` this is; `undefined` when it is none of this tree (another configuration wrote it). */
  parse(id: string): ScopePath | undefined {
    if (id === '') return GLOBAL_SCOPE;
    const ids: string[] = [];
    let level: ScopeNode | undefined;
    for (const segment of id.split('/')) {
      const colon = segment.indexOf(':');
      level = this.#levels.get(segment.slice(0, colon));
      ids.push(unescapeId(segment.slice(colon + 1)));
      if (level?.chain.length !== ids.length) return undefined;
    }
    const path = new ScopePath(level, ids);
    return path.id === id ? path : undefined;
  }

  #pathFromContext(name: string, context: ScopeContext | undefined): ScopePath {
    const level = this.#level(name);
    const ids = level.chain.map((ancestor) => {
      const id = context?.idOf(ancestor);
      if (id === undefined || id === null || id === '')
        throw missingFromContext(level, ancestor, context);
      return checkedId(id, ancestor.name);
    });
    return new ScopePath(level, ids);
  }

  /**
   * The usual case, one chain of at most three levels, in one pass and without look-ups: every scoped hit goes through
   * here. `undefined` leaves anything unusual, and every error, to the careful way.
   */
  #pathOfWellFormed(given: ScopeIds): ScopePath | undefined {
    if (!this.#isShortChain || typeof given !== 'object' || given === null) return undefined;
    let first = '';
    let second = '';
    let third = '';
    let named = 0;
    for (const name in given) {
      const depth = this.#depthOf(name);
      const id: unknown = given[name];
      if (typeof id !== 'string' || id.length * 3 > KEY_BYTES_MAX) return undefined;
      if (!Object.hasOwn(given, name)) return undefined;
      if (depth === 0) first = id;
      else if (depth === 1) second = id;
      else if (depth === 2) third = id;
      else return undefined;
      named++;
    }
    // With as many names as levels from the top, an empty one among them is missing or refused.
    if (named === 0 || first === '' || (named > 1 && second === '') || (named > 2 && third === ''))
      return undefined;
    return new ScopePath(
      this.#all[named - 1],
      named === 1 ? [first] : named === 2 ? [first, second] : [first, second, third],
    );
  }

  /** A few comparisons of interned strings, which beat a Map at this size. */
  #depthOf(name: string): number {
    const all = this.#all;
    for (let depth = 0; depth < all.length; depth++) if (all[depth]!.name === name) return depth;
    return -1;
  }

  #pathFromIds(given: ScopeIds): ScopePath {
    let deepest: ScopeNode | undefined;
    let named = 0;
    for (const name in given) {
      if (!Object.hasOwn(given, name)) continue;
      const level = this.#level(name);
      named++;
      if (!deepest || level.chain.length > deepest.chain.length) deepest = level;
    }
    if (!deepest) throw noLevelNamed(given, this.names);
    const { chain } = deepest;
    const ids = new Array<string>(chain.length);
    for (let at = 0; at < chain.length; at++) {
      const { name } = chain[at]!;
      const id = Object.hasOwn(given, name) ? given[name] : undefined;
      if (id === undefined || id === null) throw missingFromIds(deepest, name);
      ids[at] = checkedId(id, name);
    }
    if (named !== chain.length) throw severalTrees(deepest, given);
    return new ScopePath(deepest, ids);
  }

  #level(name: string): ScopeNode {
    const level = this.#levels.get(name);
    if (!level)
      throw new UnknownScopeError(
        `Unknown scope level ${describe(name)}: this cache has ${['global', ...this.#levels.keys()].join(', ')}. Add it to the module's "scopes" option, or use one of these.`,
      );
    return level;
  }

  #addLevels(levels: readonly ScopeLevel[], above: readonly ScopeNode[]): void {
    let chain = above;
    for (const level of levels) {
      const options: ScopeLevelOptions = typeof level === 'string' ? { name: level } : level;
      checkLevel(options, this.#levels);
      const node = { name: options.name, resolve: options.resolve, chain: [] as ScopeNode[] };
      node.chain = [...chain, node];
      this.#levels.set(node.name, node);
      if (options.children) this.#addLevels(options.children, node.chain);
      // Names nest, each in the one before; objects stand side by side.
      if (typeof level === 'string') chain = node.chain;
    }
  }
}

function checkedId(id: unknown, level: string): string {
  if (typeof id === 'string') {
    if (id === '')
      throw new InvalidKeyError(
        `The ${level} id is the empty string; ids have at least one character.`,
      );
    if (byteLengthExceeds(id, KEY_BYTES_MAX))
      throw new InvalidKeyError(`The ${level} id is longer than 64 kB (${id.length} characters).`);
    return id;
  }
  if ((typeof id === 'number' && Number.isFinite(id)) || typeof id === 'bigint') return String(id);
  throw new InvalidKeyError(
    `The ${level} id must be a string, a finite number or a bigint; got ${describe(id)}. Convert it to a string.`,
  );
}

function checkLevel(options: ScopeLevelOptions, known: ReadonlyMap<string, ScopeNode>): void {
  const name: unknown = (options as ScopeLevelOptions | null)?.name;
  if (typeof name !== 'string' || !/^[A-Za-z][\w-]*$/.test(name))
    throw new InvalidOptionsError(
      `scopes: a level's name must start with a letter and hold letters, digits, "_" or "-"; got ${describe(name)}.`,
    );
  if (name in Object.prototype)
    throw new InvalidOptionsError(
      `scopes: "${name}" is a property of every object and cannot be a level.`,
    );
  if (name === 'global')
    throw new InvalidOptionsError(
      'scopes: "global" is the root of every tree and cannot be a level.',
    );
  if (known.has(name))
    throw new InvalidOptionsError(
      `scopes: scope level names must be unique; "${name}" appears twice.`,
    );
  if (options.resolve !== undefined && typeof options.resolve !== 'function')
    throw new InvalidOptionsError(
      `scopes: ${name}.resolve must be a function, got ${describe(options.resolve)}.`,
    );
  if (options.children !== undefined && !Array.isArray(options.children))
    throw new InvalidOptionsError(
      `scopes: ${name}.children must be a list, got ${describe(options.children)}.`,
    );
}

function missingFromContext(
  level: ScopeNode,
  missing: ScopeNode,
  context: ScopeContext | undefined,
): MissingScopeError {
  const where = context?.lookedAt(missing) ?? 'no request context is open here';
  return new MissingScopeError(
    missing.name,
    `Missing the ${missing.name} id that scope "${level.name}" needs (looked at: ${where}). ` +
      `Authenticate before this call, give explicit ids ({ ${level.chain.map((l) => `${l.name}: …`).join(', ')} }), ` +
      `run the work in runInScope(ids, …), or set "resolve" for this level in the module's "scopes".`,
  );
}

function missingFromIds(deepest: ScopeNode, missing: string): MissingScopeError {
  return new MissingScopeError(
    missing,
    `Missing the ${missing} id that scope "${deepest.name}" needs: give { ${deepest.chain.map((l) => `${l.name}: …`).join(', ')} }, each with an id.`,
  );
}

function noLevelNamed(given: unknown, names: string[]): Error {
  return given !== null && typeof given === 'object'
    ? new MissingScopeError(
        names[0] ?? 'global',
        'The scope names no level: give ids like { org: "o1" }, a level name, or "global".',
      )
    : new InvalidOptionsError(
        `scope: expected "global", a level name or ids by level, got ${describe(given)}.`,
      );
}

function severalTrees(deepest: ScopeNode, given: ScopeIds): UnknownScopeError {
  const chain = deepest.chain.map((level) => level.name);
  const others = Object.keys(given).filter((name) => !chain.includes(name));
  return new UnknownScopeError(
    `The scope names levels of different branches: ${others.join(', ')} does not lie above ${deepest.name}. Name one branch only.`,
  );
}
