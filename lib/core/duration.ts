import { describe, InvalidDurationError } from './errors.js';

/**
 * A length of time: a number of **seconds** (fractions allowed), a string with a unit, or `'forever'`.
 * `0` means "do not keep". Resolution is 1 ms; anything above zero counts as at least 1 ms. At most 2^53 ms.
 */
export type Duration =
  number | `${number}ms` | `${number}s` | `${number}m` | `${number}h` | `${number}d` | 'forever';

/** No prototype: `constructor` is no unit. */
const UNIT_MS: Readonly<Record<string, number | undefined>> = {
  __proto__: null as never,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const ZERO = 48;
/** So many digits of days are still counted exactly in milliseconds. */
const DIGITS_MAX = 7;
const WITH_UNIT = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/**
 * A duration in milliseconds; `Infinity` for `'forever'`.
 * @param name the option's name, for the message
 * @throws InvalidDurationError for anything that is not a {@link Duration}
 */
export function toMs(duration: Duration, name: string): number {
  if (typeof duration === 'number') {
    if (duration >= 0 && duration !== Infinity) return wholeMs(duration * 1_000, duration, name);
  } else if (duration === 'forever') {
    return Infinity;
  } else if (typeof duration === 'string') {
    const ms = wholeUnits(duration);
    if (ms !== undefined) return ms;
    const parts = WITH_UNIT.exec(duration);
    if (parts) return wholeMs(Number(parts[1]) * UNIT_MS[parts[2]!]!, duration, name);
  }
  throw notADuration(duration, name);
}

/** The usual case, digits and a unit, without a regular expression: calls may name their TTL on every hit. */
function wholeUnits(text: string): number | undefined {
  let amount = 0;
  let at = 0;
  for (; at < text.length; at++) {
    const digit = text.charCodeAt(at) - ZERO;
    if (!(digit >= 0 && digit <= 9)) break;
    amount = amount * 10 + digit;
  }
  if (at === 0 || at > DIGITS_MAX) return undefined;
  const unitMs = UNIT_MS[text.slice(at)];
  return unitMs === undefined ? undefined : amount * unitMs;
}

function wholeMs(ms: number, duration: unknown, name: string): number {
  if (ms > Number.MAX_SAFE_INTEGER)
    throw new InvalidDurationError(
      `${name}: ${describe(duration)} is more than can be counted in milliseconds (2^53 of them, 285,000 years). Write 'forever'.`,
    );
  return ms > 0 ? Math.max(1, Math.round(ms)) : 0;
}

function notADuration(duration: unknown, name: string): InvalidDurationError {
  return new InvalidDurationError(
    `${name}: expected seconds as a number from 0 up, or a string like '500ms', '30s', '10m', '24h', '7d' or 'forever'; got ${describe(duration)}.`,
  );
}
