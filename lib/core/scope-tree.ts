import { describe, InvalidOptionsError } from './errors.js';
import { checkKnown } from './known-options.js';
import { KEY_BYTES_MAX } from './limits.js';
import {
  checkedId,
  missingFromContext,
  missingFromIds,
  noLevelNamed,
  severalTrees,
  unknownLevel,
} from './scope-refusals.js';
import {
  GLOBAL_SCOPE,
  ScopePath,
  unescapeId,
  type ScopeContext,
  type ScopeIds,
  type ScopeLevel,
  type ScopeLevelOptions,
  type ScopeNode,
  type ScopeSelector,
} from './scope.js';

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
    if (!level) throw unknownLevel(name, this.names);
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
  checkKnown(`scopes: level "${name}"`, options, ['name', 'resolve', 'children']);
  if (options.resolve !== undefined && typeof options.resolve !== 'function')
    throw new InvalidOptionsError(
      `scopes: ${name}.resolve must be a function, got ${describe(options.resolve)}.`,
    );
  if (options.children !== undefined && !Array.isArray(options.children))
    throw new InvalidOptionsError(
      `scopes: ${name}.children must be a list, got ${describe(options.children)}.`,
    );
}
