/** What went wrong, as a stable word. Every code has a section in docs/errors.md. */
export type CacheErrorCode =
  | 'MISSING_SCOPE'
  | 'UNKNOWN_SCOPE'
  | 'INVALID_KEY'
  | 'INVALID_DURATION'
  | 'INVALID_OPTIONS'
  | 'SERIALIZATION'
  | 'STORAGE_UNAVAILABLE'
  | 'LOAD_TIMEOUT'
  | 'BULK_LOAD'
  | 'ENTRY_NOT_FOUND'
  | 'UNSUPPORTED';

/**
 * Base of every error this package throws on purpose.
 *
 * `code` is stable across versions and across the two module builds, so compare it rather than
 * using `instanceof` where two copies of the package could meet. `cause` holds the original error.
 * Messages may name keys and scopes; they never contain cached values.
 */
export class CacheError extends Error {
  /** @param code stable word, one of {@link CacheErrorCode} */
  constructor(
    readonly code: CacheErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A scope level was asked for whose id, or an ancestor's id, is not known. Nothing was read or written. */
export class MissingScopeError extends CacheError {
  /**
   * @param level the level whose id is missing
   * @param message what was tried and the remedy
   */
  constructor(
    readonly level: string,
    message: string,
  ) {
    super('MISSING_SCOPE', message);
  }
}

/** A scope level was named that the module's `scopes` option does not have. */
export class UnknownScopeError extends CacheError {
  constructor(message: string) {
    super('UNKNOWN_SCOPE', message);
  }
}

/** A key, tag or scope id is empty, too long (64 kB) or of a kind that cannot be encoded. */
export class InvalidKeyError extends CacheError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('INVALID_KEY', message, options);
  }
}

/** A duration is negative, NaN, or a string that is not `'500ms' | '30s' | '10m' | '24h' | '7d' | 'forever'`. */
export class InvalidDurationError extends CacheError {
  constructor(message: string) {
    super('INVALID_DURATION', message);
  }
}

/** An option is unknown or has a wrong value; the message names the option, what was expected and what came. */
export class InvalidOptionsError extends CacheError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('INVALID_OPTIONS', message, options);
  }
}

/** A value cannot be stored (the message names the path to the culprit and its kind), or stored bytes cannot be read. */
export class SerializationError extends CacheError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('SERIALIZATION', message, options);
  }
}

/** The storage did not do what was asked: unreachable, too slow, or it answered with an error (`cause`). */
export class StorageUnavailableError extends CacheError {
  /** It answered, and did not want this one call (it is full, say): others may well succeed, so its circuit stays closed. */
  readonly isRefusal: boolean;

  constructor(message: string, options?: { cause?: unknown; isRefusal?: boolean }) {
    super('STORAGE_UNAVAILABLE', message, options);
    this.isRefusal = options?.isRefusal === true;
  }
}

/** A loader ran longer than `hardTimeout`. Its late result follows the rule in docs/loading.md. */
export class LoadTimeoutError extends CacheError {
  constructor(message: string) {
    super('LOAD_TIMEOUT', message);
  }
}

/** `getOrSetMany` could not load some of its keys. */
export class BulkLoadError extends CacheError {
  /** @param results one for each key, in the order of the call */
  constructor(
    message: string,
    readonly results: readonly PromiseSettledResult<unknown>[],
    options?: { cause?: unknown },
  ) {
    super('BULK_LOAD', message, options);
  }
}

/** `merge` or `update` with `mustExist` found no live entry. */
export class EntryNotFoundError extends CacheError {
  constructor(message: string) {
    super('ENTRY_NOT_FOUND', message);
  }
}

/** The storage in use cannot do this (for example list its keys). */
export class UnsupportedError extends CacheError {
  constructor(message: string) {
    super('UNSUPPORTED', message);
  }
}

/** A short, safe description of any value for messages: its kind, and its text when that is short. Never deep content. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  switch (typeof value) {
    case 'string':
      return value.length <= 40 ? JSON.stringify(value) : `a string of ${value.length} characters`;
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'boolean':
      return String(value);
    case 'bigint':
      return `${value}n`;
    case 'symbol':
      return 'a symbol';
    case 'function':
      return `a function (${value.name || 'anonymous'})`;
    default:
      return describeObject(value as object);
  }
}

/** The kind of a value, never the value: for messages about what is cached, because values do not belong into logs (P4). */
export function typeInWords(value: unknown): string {
  const type = typeof value;
  return type === 'string' || type === 'number' || type === 'bigint' || type === 'boolean'
    ? `a ${type}`
    : describe(value);
}

function describeObject(value: object): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const name = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof name === 'string' && name !== '' && name !== 'Object'
    ? `an instance of ${name}`
    : 'an object';
}
