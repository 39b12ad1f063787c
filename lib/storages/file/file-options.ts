import { toMs, type Duration } from '../../core/duration.js';
import { describe, InvalidOptionsError } from '../../core/errors.js';
import { checkedCipher, type ValueCipher } from '../../core/value-cipher.js';

/** For `fileStorage`. */
export interface FileStorageOptions {
  /**
   * The folder to keep everything in. It must be a folder of the process's own user that nobody else can write to;
   * a symbolic link is refused. Several processes and several namespaces may share it.
   */
  readonly directory: string;
  /** Whether to make the folder (and those above it) when it is missing. Default `true`. */
  readonly createDirectory?: boolean;
  /** Mode of folders that are made, whatever the umask. Default `0o700`. Write access for others is refused. */
  readonly directoryMode?: number;
  /** Mode of files, whatever the umask. Default `0o600`. Write access for others is refused. */
  readonly fileMode?: number;
  /**
   * Entries at most, in this namespace; beyond, the longest unused leave. Default `Infinity`. Exact for what this process
   * writes; entries of other processes are noticed with each sweep. Costs about 150 bytes of memory for each entry.
   */
  readonly maxEntries?: number;
  /** Bytes of entry files at most, in this namespace, as `maxEntries`. Default `Infinity`. */
  readonly maxBytes?: number;
  /** How often expired entries and what dead processes left are removed. Default `'1m'`; `'forever'` switches it off. */
  readonly sweepEvery?: Duration;
  /**
   * Whether a write is on the disk, rather than with the operating system, when it resolves. Default `false`: entries
   * survive the end of the process however it comes, but not a loss of power, after which damaged ones are misses and
   * the very last removals may be undone. `true` costs an fsync or two for each write.
   */
  readonly durable?: boolean;
  /** How long an operation waits for another process that is working on the same key. Default `'2s'`. */
  readonly lockTimeout?: Duration;
  /**
   * Seals all but the times of each entry, for example `aes256Gcm({ keys, current })`. Default: none, plain text. Entries
   * that do not open are misses, and reported. Renewing the life of an entry then writes all of it.
   */
  readonly encryption?: ValueCipher;
}

/** The options with their defaults, in checked units. @internal */
export interface FileSettings {
  readonly directory: string;
  readonly createDirectory: boolean;
  readonly directoryMode: number;
  readonly fileMode: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly sweepMs: number;
  readonly durable: boolean;
  readonly lockMs: number;
  readonly encryption: ValueCipher | undefined;
}

const KNOWN: readonly (keyof FileStorageOptions)[] = [
  'directory',
  'createDirectory',
  'directoryMode',
  'fileMode',
  'maxEntries',
  'maxBytes',
  'sweepEvery',
  'durable',
  'lockTimeout',
  'encryption',
];

/**
 * @throws InvalidOptionsError naming the option, what was expected and what came
 * @internal
 */
export function checkedFileOptions(options: FileStorageOptions): FileSettings {
  if (typeof options !== 'object' || options === null)
    throw wrong('options', 'an object with a "directory"', options);
  for (const name of Object.keys(options))
    if (!KNOWN.includes(name as keyof FileStorageOptions))
      throw new InvalidOptionsError(
        `fileStorage: unknown option "${name}". Known: ${KNOWN.join(', ')}.`,
      );
  const { directory } = options;
  if (typeof directory !== 'string' || directory === '' || directory.includes('\0'))
    throw wrong('directory', 'the path of a folder', directory);
  return Object.freeze({
    directory,
    createDirectory: flag(options.createDirectory ?? true, 'createDirectory'),
    directoryMode: mode(options.directoryMode ?? 0o700, 0o700, 'directoryMode'),
    fileMode: mode(options.fileMode ?? 0o600, 0o600, 'fileMode'),
    maxEntries: limit(options.maxEntries ?? Infinity, 'maxEntries'),
    maxBytes: limit(options.maxBytes ?? Infinity, 'maxBytes'),
    sweepMs: positive(options.sweepEvery ?? '1m', 'sweepEvery'),
    durable: flag(options.durable ?? false, 'durable'),
    lockMs: positive(options.lockTimeout ?? '2s', 'lockTimeout'),
    encryption: checkedCipher(options.encryption, 'fileStorage: encryption'),
  });
}

function flag(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw wrong(name, 'true or false', value);
  return value;
}

function mode(value: unknown, needed: number, name: string): number {
  const isMode =
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0o777;
  if (!isMode || (value & needed) !== needed || (value & 0o022) !== 0)
    throw wrong(
      name,
      `a mode that gives the owner 0o${needed.toString(8)} and nobody else write access`,
      value,
    );
  return value;
}

function limit(value: unknown, name: string): number {
  const isLimit = value === Infinity || (Number.isInteger(value) && (value as number) >= 1);
  if (!isLimit) throw wrong(name, 'a whole number from 1 up, or Infinity', value);
  return value as number;
}

function positive(value: Duration, name: string): number {
  const ms = toMs(value, `fileStorage: ${name}`);
  if (ms === 0) throw wrong(name, 'a duration above 0', value);
  return ms;
}

function wrong(name: string, expected: string, got: unknown): InvalidOptionsError {
  return new InvalidOptionsError(`fileStorage: ${name} must be ${expected}; got ${describe(got)}.`);
}
