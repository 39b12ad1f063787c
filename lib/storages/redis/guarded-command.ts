import { Command, Redis, type Cluster } from 'ioredis';
import { StorageUnavailableError } from '../../core/errors.js';
import type { Deadline } from './deadlines.js';

/** What a client still holds back when it was given up goes out as this: every place in its queue must get an answer. */
const NOTHING = '*1\r\n$4\r\nPING\r\n';

/** The client has refused a command before it wrote anything: sent again, it is sent for the first time. */
export class NotSentError extends Error {}

/** The owner of a client that was handed in has begun a transaction on it. */
export class QueuedError extends StorageUnavailableError {
  constructor() {
    super(
      'Redis: QUEUED: the client that was handed in is inside a MULTI of its owner, so nothing is answered before its EXEC. ' +
        'Give the cache a client of its own: client.duplicate().',
    );
  }
}

/** Answers after which a command surely did nothing, so that the client may send it once more. */
const REDIRECTIONS = ['MOVED', 'ASK', 'TRYAGAIN'];

/**
 * A command that does nothing any more once its deadline is over. A client may hold one back for long: in the queue of a
 * connection that is not ready yet, or between two attempts when a slot of a Cluster moves. Carried out after a later
 * eviction, it would bring an old value back.
 */
class GuardedCommand extends Command {
  /** Whether a server may have carried it out. */
  isSent = false;

  constructor(
    name: string,
    args: string[],
    options: ConstructorParameters<typeof Command>[2],
    readonly deadline: Deadline,
  ) {
    super(name, args, options);
  }

  override toWritable(socket: object): string | Buffer {
    if (this.deadline.isOver) return NOTHING;
    this.isSent = true;
    return super.toWritable(socket);
  }
}

/** Sends it now, past automatic pipelining, and not twice, unless the server said that it had done nothing. */
export async function sendGuarded(
  client: Redis | Cluster,
  name: string,
  args: string[],
  replyEncoding: 'utf8' | null,
  deadline: Deadline,
): Promise<unknown> {
  const { keyPrefix = '' } = client.options;
  const command = new GuardedCommand(name, args, { replyEncoding, keyPrefix }, deadline);
  const sent =
    client instanceof Redis ? client.sendCommand(command) : sendToCluster(client, command);
  const answer = await sent;
  if (isQueued(answer)) throw new QueuedError();
  return answer;
}

/** What a server says to everything between MULTI and EXEC: it has done nothing yet, and perhaps never will. */
function isQueued(answer: unknown): boolean {
  return (typeof answer === 'string' || Buffer.isBuffer(answer)) && String(answer) === 'QUEUED';
}

function sendToCluster(client: Cluster, command: GuardedCommand): Promise<unknown> {
  const giveUp = command.reject;
  const sent = client.sendCommand(command) as Promise<unknown>;
  // The client has put its own retries here, which come after a lost connection as well.
  const retry = command.reject;
  command.reject = (error) => {
    if (!REDIRECTIONS.some((word) => error.message.startsWith(word)))
      return giveUp.call(command, command.isSent ? error : new NotSentError(error.message));
    command.isSent = false;
    return retry.call(command, error);
  };
  return sent;
}
