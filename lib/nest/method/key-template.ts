import { describe, InvalidKeyError, InvalidOptionsError } from '../../core/errors.js';
import type { CallContext } from './call-context.js';

const ROOTS = [
  'args',
  'params',
  'query',
  'body',
  'headers',
  'user',
  'session',
  'data',
  'result',
] as const;
type Root = (typeof ROOTS)[number];

/** Literal text, or a path into the call. */
type Piece =
  string | { readonly root: Root; readonly path: readonly string[]; readonly text: string };

/**
 * Compiles `'profile:{params.id}'` to a function that gives the key's parts: literal text and values alternate, so values
 * keep their type and text cannot be mistaken for a value.
 * @throws InvalidOptionsError for a placeholder that is empty, unclosed or starts with an unknown word
 */
export function compileTemplate(template: string): (call: CallContext) => unknown[] {
  const pieces = parse(template);
  return (call) =>
    pieces.map((piece) => (typeof piece === 'string' ? piece : valueAt(piece, call, template)));
}

function parse(template: string): Piece[] {
  const pieces: Piece[] = [];
  let text = '';
  for (let at = 0; at < template.length; at++) {
    const unit = template[at]!;
    if (unit !== '{' || template[at + 1] === '{') {
      if (unit === '{') at++;
      text += unit;
      continue;
    }
    const end = template.indexOf('}', at);
    if (end < 0) throw wrong(template, 'a placeholder is not closed');
    if (text !== '') pieces.push(text);
    pieces.push(placeholder(template.slice(at + 1, end), template));
    text = '';
    at = end;
  }
  if (text !== '' || pieces.length === 0) pieces.push(text);
  return pieces;
}

function placeholder(text: string, template: string): Piece {
  const [root, ...path] = text.trim().split('.');
  if (!ROOTS.includes(root as Root))
    throw wrong(template, `{${text}} does not start with one of ${ROOTS.join(', ')}`);
  if (path.includes('')) throw wrong(template, `{${text}} has an empty part`);
  return { root: root as Root, path, text };
}

function valueAt(piece: Exclude<Piece, string>, call: CallContext, template: string): unknown {
  let value: unknown = call[piece.root];
  for (const name of piece.path) {
    const holder: unknown = value;
    value =
      holder === null || holder === undefined
        ? undefined
        : (holder as Record<string, unknown>)[name];
  }
  if (value === undefined)
    throw new InvalidKeyError(
      `key ${JSON.stringify(template)}: {${piece.text}} is undefined, so calls could not be told apart. Correct the path, or use a function.`,
    );
  return value;
}

function wrong(template: unknown, why: string): InvalidOptionsError {
  return new InvalidOptionsError(`key: ${describe(template)} is no key template: ${why}.`);
}
