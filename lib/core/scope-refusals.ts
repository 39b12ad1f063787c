import {
  describe,
  InvalidKeyError,
  InvalidOptionsError,
  MissingScopeError,
  UnknownScopeError,
} from './errors.js';
import { byteLengthExceeds, KEY_BYTES_MAX } from './limits.js';
import type { ScopeContext, ScopeIds, ScopeNode } from './scope.js';

/** The id as text. @throws InvalidKeyError for what is no id */
export function checkedId(id: unknown, level: string): string {
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
  const { then } = (id ?? {}) as { readonly then?: unknown };
  if (typeof then === 'function') {
    // If it rejects, unheard, that must not end the process.
    Reflect.apply(then, id, [undefined, () => undefined]);
    throw new InvalidKeyError(
      `The ${level} id came as a promise. It must be there at once: find it beforehand, in a guard for example, and let "resolve" return it.`,
    );
  }
  throw new InvalidKeyError(
    `The ${level} id must be a string, a finite number or a bigint; got ${describe(id)}. Convert it to a string.`,
  );
}

/** A level that the tree does not have. */
export function unknownLevel(name: string, known: readonly string[]): UnknownScopeError {
  return new UnknownScopeError(
    `Unknown scope level ${describe(name)}: this cache has ${['global', ...known].join(', ')}. Add it to the module's "scopes" option, or use one of these.`,
  );
}

/** An id that is not in the request context. */
export function missingFromContext(
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

/** An id that is not among explicit ones. */
export function missingFromIds(deepest: ScopeNode, missing: string): MissingScopeError {
  return new MissingScopeError(
    missing,
    `Missing the ${missing} id that scope "${deepest.name}" needs: give { ${deepest.chain.map((l) => `${l.name}: …`).join(', ')} }, each with an id.`,
  );
}

/** Neither a level nor ids. */
export function noLevelNamed(given: unknown, names: readonly string[]): Error {
  return given !== null && typeof given === 'object'
    ? new MissingScopeError(
        names[0] ?? 'global',
        'The scope names no level: give ids like { org: "o1" }, a level name, or "global".',
      )
    : new InvalidOptionsError(
        `scope: expected "global", a level name or ids by level, got ${describe(given)}.`,
      );
}

/** Ids of levels that do not lie above each other. */
export function severalTrees(deepest: ScopeNode, given: ScopeIds): UnknownScopeError {
  const chain = deepest.chain.map((level) => level.name);
  const others = Object.keys(given).filter((name) => !chain.includes(name));
  return new UnknownScopeError(
    `The scope names levels of different branches: ${others.join(', ')} does not lie above ${deepest.name}. Name one branch only.`,
  );
}
