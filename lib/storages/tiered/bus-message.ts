import type { ScopeTree } from '../../core/scope-tree.js';
import type { ScopePath } from '../../core/scope.js';
import type { EntryAddress } from '../../core/storage.js';

/** What happened to the far tier. */
export type Change =
  | { readonly kind: 'keys'; readonly at: readonly EntryAddress[] }
  | { readonly kind: 'scope'; readonly scope: ScopePath }
  | { readonly kind: 'tags'; readonly scope: ScopePath; readonly tags: readonly string[] }
  /** Something this node cannot name more precisely: treat everything as changed. */
  | { readonly kind: 'all' };

/** What a node says besides changes. */
export type Signal = 'beat' | 'goodbye';

/** One text on the bus. `seq` counts a node's changes from 1; a signal carries the number of the latest one. */
export interface BusMessage {
  readonly node: string;
  readonly seq: number;
  readonly what: Change | Signal;
  /** When a beat was sent, on its sender's own monotonic clock: tells the sender how late it hears, and others nothing. */
  readonly sentAt?: number;
}

/** As JSON: `[node, seq, kind, …]`. */
export function encodeMessage({ node, seq, what, sentAt }: BusMessage): string {
  if (typeof what === 'string') return JSON.stringify([node, seq, what, sentAt]);
  switch (what.kind) {
    case 'keys':
      return JSON.stringify([node, seq, 'keys', what.at.map(({ scope, key }) => [scope.id, key])]);
    case 'scope':
      return JSON.stringify([node, seq, 'scope', what.scope.id]);
    case 'tags':
      return JSON.stringify([node, seq, 'tags', what.scope.id, what.tags]);
    case 'all':
      return JSON.stringify([node, seq, 'all']);
  }
}

/**
 * The message, or `undefined` for what is none of ours. A change whose place this node's scope tree does not know (another
 * release, another configuration) becomes `all`: dropping too much is safe.
 */
export function decodeMessage(text: string, scopes: ScopeTree): BusMessage | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError || (error as Error | undefined)?.name === 'SyntaxError')
      return undefined;
    throw error;
  }
  if (!Array.isArray(fields)) return undefined;
  const [node, seq, kind, first, second] = fields as unknown[];
  if (typeof node !== 'string' || !Number.isSafeInteger(seq) || typeof kind !== 'string')
    return undefined;
  const what = contentOf(kind, first, second, scopes);
  return typeof first === 'number' && what === 'beat'
    ? { node, seq: seq as number, what, sentAt: first }
    : { node, seq: seq as number, what };
}

function contentOf(
  kind: string,
  first: unknown,
  second: unknown,
  scopes: ScopeTree,
): Change | Signal {
  if (kind === 'beat' || kind === 'goodbye') return kind;
  if (kind === 'keys' && Array.isArray(first)) {
    const at = (first as unknown[]).map((pair) => addressOf(pair, scopes));
    if (at.every((one): one is EntryAddress => one !== undefined)) return { kind, at };
  }
  const scope = typeof first === 'string' ? scopes.parse(first) : undefined;
  if (kind === 'scope' && scope) return { kind, scope };
  if (kind === 'tags' && scope && isTexts(second)) return { kind, scope, tags: second };
  return { kind: 'all' };
}

function addressOf(pair: unknown, scopes: ScopeTree): EntryAddress | undefined {
  const [id, key] = Array.isArray(pair) ? (pair as unknown[]) : [];
  const scope = typeof id === 'string' ? scopes.parse(id) : undefined;
  return scope && typeof key === 'string' ? { scope, key } : undefined;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
