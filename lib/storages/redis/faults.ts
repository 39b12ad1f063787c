import { CacheError, StorageUnavailableError } from '../../core/errors.js';

/** First word of a server's error, and what to do about it. */
const REMEDIES: Readonly<Record<string, string>> = {
  NOAUTH: 'Give a password: in the URL, or as "password" in "options".',
  WRONGPASS: 'Check the user name and the password.',
  NOPERM:
    'The ACL user needs the commands listed in docs/redis.md, on keys and channels that start with the prefix.',
  READONLY: 'This server is a replica: connect to the master, or use "sentinel" or "cluster".',
  OOM: 'The server is out of memory: raise maxmemory, or set maxmemory-policy to allkeys-lru.',
  LOADING: 'The server is loading its data; it will answer when that is done.',
  MASTERDOWN: 'This replica has lost its master and replica-serve-stale-data is off.',
  CLUSTERDOWN: 'The Cluster has slots that nobody serves.',
  CROSSSLOT: 'The server is a Cluster: give "cluster" (or a Cluster client).',
  MOVED: 'The server is a Cluster: give "cluster" (or a Cluster client).',
  ASK: 'The server is a Cluster: give "cluster" (or a Cluster client).',
  TRYAGAIN: 'The slot is being moved to another server; it will be served when that is done.',
  WRONGTYPE:
    'A key of this cache holds something that it did not write. Choose another "prefix", or remove that key.',
  NOREPLICAS:
    'Too few replicas are in step for min-replicas-to-write; writes go on when they are back.',
  MISCONF:
    'The server cannot save to its disk and refuses writes: see its log, or set stop-writes-on-bgsave-error to no.',
  BUSY: 'A script that is not ours blocks the server.',
};

/** The server works, and did not want this one command. */
const REFUSALS: readonly string[] = ['OOM', 'MISCONF', 'NOREPLICAS', 'WRONGTYPE'];

/** Any error as one of ours, with what to do about it and without the command that caused it. */
export function faultOf(error: unknown): CacheError {
  if (error instanceof CacheError) return error;
  const text = messageOf(error);
  const word = wordOf(text);
  const remedy = Object.hasOwn(REMEDIES, word) ? ` ${REMEDIES[word]}` : '';
  // The client's error carries the command, and with it the value: only its text goes on.
  return new StorageUnavailableError(`Redis: ${shortened(text).replace(/\.$/, '')}.${remedy}`, {
    cause: withoutCommand(error, text),
    isRefusal: REFUSALS.includes(word),
  });
}

/** An error's text; its code where it has none, as when every address of a host refused. */
export function messageOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const { message, code } = error as { readonly message?: unknown; readonly code?: unknown };
  for (const text of [message, code]) if (typeof text === 'string' && text !== '') return text;
  return 'an error without a message';
}

function wordOf(text: string): string {
  // A script met a key that had moved already; a command was sent back and forth until the client had enough.
  if (text.includes('non local key') || text.startsWith('Too many Cluster redirections'))
    return 'TRYAGAIN';
  // How servers before 7.0 put what a command of a script was answered.
  const inScript = /: -([A-Z]{3,}) /.exec(text);
  if (inScript) return inScript[1]!;
  return /\b[A-Z]{3,}\b/.exec(text)?.[0] ?? '';
}

function withoutCommand(error: unknown, text: string): Error {
  const cause = new Error(shortened(text));
  if (error instanceof Error) cause.name = error.name;
  return cause;
}

function shortened(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** Whether it is the server's answer that begins with this word. */
export function startsWith(error: unknown, word: string): boolean {
  return error instanceof Error && error.message.startsWith(word);
}

/** For what was given up at its deadline. */
export function tooSlow(timeoutMs: number): StorageUnavailableError {
  return new StorageUnavailableError(
    `Redis did not answer within ${timeoutMs} ms. It may be overloaded, paused or unreachable; "timeout" of redisStorage sets the limit.`,
  );
}
