import { describe, InvalidKeyError } from './errors.js';

const PATTERN_LENGTH_MAX = 1_000;
const STARS_MAX = 32;

/**
 * A test for a glob: `*` any characters, `?` one, `[abc]` `[a-z]` `[!x]` one of a set, `\` takes the next one literally.
 * Runs in O(text × stars) without backtracking over more than the last star, so no pattern can stall the process.
 * @throws InvalidKeyError for patterns over 1,000 characters or with more than 32 stars
 */
export function globMatcher(pattern: string): (text: string) => boolean {
  if (typeof pattern !== 'string' || pattern.length > PATTERN_LENGTH_MAX)
    throw new InvalidKeyError(
      `match: expected a glob of at most ${PATTERN_LENGTH_MAX} characters, got ${describe(pattern)}.`,
    );
  const steps = parse(pattern);
  if (steps.filter((step) => step === STAR).length > STARS_MAX)
    throw new InvalidKeyError(`match: at most ${STARS_MAX} stars in one glob.`);
  return (text) => matches(steps, [...text]);
}

const STAR = Symbol('any characters');
type Step = typeof STAR | ((char: string) => boolean);

function parse(pattern: string): Step[] {
  const chars = [...pattern];
  const steps: Step[] = [];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!;
    if (char === '*') {
      if (steps.at(-1) !== STAR) steps.push(STAR);
    } else if (char === '?') steps.push(() => true);
    else if (char === '[') {
      const end = chars.indexOf(']', at + 2);
      if (end === -1) steps.push((c) => c === '[');
      else {
        steps.push(oneOf(chars.slice(at + 1, end)));
        at = end;
      }
    } else {
      const literal = char === '\\' && at + 1 < chars.length ? chars[++at]! : char;
      steps.push((c) => c === literal);
    }
  }
  return steps;
}

function oneOf(set: string[]): (char: string) => boolean {
  const negated = set[0] === '!' || set[0] === '^';
  const items = negated ? set.slice(1) : set;
  const ranges: [string, string][] = [];
  for (let at = 0; at < items.length; at++) {
    const isRange = items[at + 1] === '-' && at + 2 < items.length;
    ranges.push([items[at]!, isRange ? items[at + 2]! : items[at]!]);
    if (isRange) at += 2;
  }
  return (char) => ranges.some(([low, high]) => char >= low && char <= high) !== negated;
}

/** The classic two-pointer walk: on a mismatch, let the last star take one character more. */
function matches(steps: readonly Step[], text: readonly string[]): boolean {
  let step = 0;
  let star = -1;
  let retryFrom = 0;
  for (let at = 0; at < text.length;) {
    const expected = steps[step];
    if (expected === STAR) {
      star = step++;
      retryFrom = at;
    } else if (expected?.(text[at]!)) {
      step++;
      at++;
    } else if (star !== -1) {
      step = star + 1;
      at = ++retryFrom;
    } else return false;
  }
  while (steps[step] === STAR) step++;
  return step === steps.length;
}
