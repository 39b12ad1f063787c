import { StorageUnavailableError } from '../../core/errors.js';
import { Budget } from './budget.js';
import type { Connection } from './connection.js';
import { Deadlines, type Deadline } from './deadlines.js';
import { Evaluation, type Call } from './evaluation.js';
import { faultOf, tooSlow } from './faults.js';
import { NotSentError, sendGuarded } from './guarded-command.js';
import type { ScopeKeys } from './layout.js';
import { script, type Argument, type Script } from './lua.js';

const TIME = script(`return redis.call('TIME')`);

/** How often one command waits for a server that is being connected to: where it was sent to, and where that one pointed. */
const WAITS_MAX = 2;

/** Every command of one open storage: sent when the server can take it, given up at the deadline, faults explained. */
export class Commands {
  readonly #deadlines: Deadlines;
  readonly #evaluation: Evaluation;
  /** Not yet answered; empty when idle. */
  #underWay = 0;

  constructor(readonly connection: Connection) {
    this.#deadlines = new Deadlines(connection.options.timeoutMs);
    this.#evaluation = new Evaluation(connection, this.#deadlines, (bucket, start) =>
      this.send(bucket, start),
    );
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** For an operation of several commands: they have one deadline together. */
  budget(): Budget {
    return new Budget(this.#deadlines);
  }

  /** Runs a script within a bucket; `ARGV[1]` is the bucket's base. */
  run(
    script: Script,
    scope: ScopeKeys,
    keys: readonly string[],
    args: readonly Argument[],
    budget?: Budget,
  ): Promise<unknown> {
    return this.#script(script, scope, [...keys, scope.scriptBase, ...args], 'utf8', keys, budget);
  }

  /** As {@link run}, with text replies as bytes. */
  runForBytes(
    script: Script,
    scope: ScopeKeys,
    keys: readonly string[],
    args: readonly Argument[],
    budget?: Budget,
  ): Promise<unknown> {
    return this.#script(script, scope, [...keys, scope.scriptBase, ...args], null, keys, budget);
  }

  /** The values of keys in one slot (on a single server, of any keys). Sent at once. */
  mget(bucket: number, keys: string[], budget?: Budget): Promise<(Buffer | null)[]> {
    const { client } = this.connection;
    const read = async (deadline: Deadline): Promise<(Buffer | null)[]> =>
      asList(await sendGuarded(client, 'mget', keys, null, deadline));
    return this.send(bucket, read, budget);
  }

  /**
   * The time of the bucket's server, as TIME tells it. A Cluster is asked by a script, for TIME itself has no key, so that any
   * server might answer.
   */
  async time(scope: ScopeKeys, onSent: () => void): Promise<readonly [string, string]> {
    const { client, isCluster } = this.connection;
    const args = [1, scope.nodes[0]!];
    const call: Call = { script: TIME, bucket: scope.bucket, args, replies: 'utf8', atOnce: true };
    const answer = await this.send(scope.bucket, (deadline) => {
      onSent();
      return isCluster
        ? this.#evaluation.run(call, deadline)
        : sendGuarded(client, 'time', [], 'utf8', deadline);
    });
    return answer as unknown as readonly [string, string];
  }

  /** One batch of an index: cursor, then members and scores in turn. */
  scan(
    scope: ScopeKeys,
    index: string,
    cursor: string,
    count: number,
  ): Promise<[string, string[]]> {
    const args = [`${scope.base}i:${index}`, cursor, 'COUNT', String(count)];
    const scan = (deadline: Deadline): Promise<unknown> =>
      sendGuarded(this.connection.client, 'zscan', args, 'utf8', deadline);
    return this.send(scope.bucket, scan) as Promise<[string, string[]]>;
  }

  /**
   * @throws StorageUnavailableError by rejecting, with the cause, at the latest at the deadline
   */
  async send<T>(
    bucket: number,
    start: (deadline: Deadline) => Promise<T>,
    budget?: Budget,
  ): Promise<T> {
    this.#underWay++;
    try {
      return await this.#withDeadline(bucket, start, budget?.leftMs);
    } finally {
      this.#underWay--;
    }
  }

  /** A script over keys of one slot (on a single server, of any), sent at once: its arguments are a batch already. */
  runBatch(script: Script, bucket: number, args: readonly Argument[]): Promise<unknown> {
    const call: Call = { script, bucket, args, replies: 'utf8', atOnce: true };
    return this.send(bucket, (deadline) => this.#evaluation.run(call, deadline));
  }

  #script(
    script: Script,
    { bucket }: ScopeKeys,
    all: readonly Argument[],
    replies: 'utf8' | null,
    keys: readonly string[],
    budget: Budget | undefined,
  ): Promise<unknown> {
    const args = [keys.length, ...all];
    const call: Call = { script, bucket, args, replies, atOnce: false };
    return this.send(bucket, (deadline) => this.#evaluation.run(call, deadline), budget);
  }

  #withDeadline<T>(
    bucket: number,
    start: (deadline: Deadline) => Promise<T>,
    leftMs: number | undefined,
  ): Promise<T> {
    const { connection } = this;
    const { timeoutMs } = connection.options;
    if (leftMs !== undefined && leftMs <= 0) return Promise.reject(tooSlow(timeoutMs));
    return new Promise<T>((resolve, reject) => {
      const deadline = this.#deadlines.begin(() => {
        deadline.isOver = true;
        // The rest of a budget may be too short for a server that is well.
        if (leftMs === undefined || leftMs > timeoutMs / 2) connection.noteTimeout(bucket);
        reject(tooSlow(timeoutMs));
      }, leftMs);
      const succeed = (value: T): void => {
        if (deadline.isOver) return;
        deadline.isOver = true;
        connection.noteSuccess(bucket);
        resolve(value);
      };
      const fail = (error: unknown): void => {
        if (error instanceof NotSentError && goAfter(connection.reachedAny())) return;
        deadline.isOver = true;
        reject(faultOf(error));
      };
      // Not sent at all once the deadline has passed: a late write could undo a later eviction.
      const go = (): void => {
        if (deadline.isOver) return;
        if (!connection.isUsable) return fail(connection.notConnected());
        if (!goAfter(connection.reached(bucket))) start(deadline).then(succeed, fail);
      };
      let waitsLeft = WAITS_MAX;
      const goAfter = (reached: Promise<void> | undefined): boolean => {
        if (!reached || waitsLeft-- === 0) return false;
        void reached.then(go);
        return true;
      };
      if (connection.isUsable) go();
      else connection.started().then(go, fail);
    });
  }
}

/** On a connection that has lost bytes, the answer may be somebody else's. Its readers must not wait for their own for ever. */
function asList(answer: unknown): (Buffer | null)[] {
  if (Array.isArray(answer)) return answer as (Buffer | null)[];
  throw new StorageUnavailableError(
    'Redis answered MGET with something that is no list: bytes were lost on the way. Look at what is between the application and the server.',
  );
}
