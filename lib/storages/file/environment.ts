import { InvalidOptionsError } from '../../core/errors.js';

/** Settings taken from the environment; `undefined` where a variable is not set. */
export interface EnvironmentSettings {
  /** `CACHE_DUMP_FILE`. */
  readonly file: string | undefined;
  /** `CACHE_MAX_SIZE`: entries at most. */
  readonly maxEntries: number | undefined;
  /** `CACHE_AUTO_DUMP_INTERVAL` in seconds; 0: no dumps on their own. */
  readonly every: number | undefined;
}

/**
 * Reads `CACHE_DUMP_FILE`, `CACHE_MAX_SIZE` (a whole number from 1 up) and `CACHE_AUTO_DUMP_INTERVAL` (seconds from 0 up),
 * for a factory of `forRootAsync`. Options in code win over these simply by being written after them.
 * @throws InvalidOptionsError naming the variable
 */
export function fromEnvironment(
  env: Readonly<Record<string, string | undefined>> = process.env,
): EnvironmentSettings {
  const file = env['CACHE_DUMP_FILE'];
  if (file === '') throw wrong('CACHE_DUMP_FILE', 'the path of a file', file);
  const maxEntries = number(
    env,
    'CACHE_MAX_SIZE',
    'a whole number from 1 up',
    (value) => Number.isInteger(value) && value >= 1,
  );
  const every = number(
    env,
    'CACHE_AUTO_DUMP_INTERVAL',
    'seconds from 0 up (0 is off)',
    (value) => value >= 0,
  );
  return Object.freeze({ file, maxEntries, every });
}

function number(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
  expected: string,
  isRight: (value: number) => boolean,
): number | undefined {
  const text = env[name];
  if (text === undefined) return undefined;
  const value = /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : NaN;
  if (!Number.isFinite(value) || !isRight(value)) throw wrong(name, expected, text);
  return value;
}

function wrong(name: string, expected: string, got: string): InvalidOptionsError {
  return new InvalidOptionsError(
    `The environment variable ${name} must be ${expected}; got ${JSON.stringify(got.slice(0, 40))}. Correct it or unset it.`,
  );
}
