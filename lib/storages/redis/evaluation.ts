import type { Connection } from './connection.js';
import type { Deadline, Deadlines } from './deadlines.js';
import { startsWith, tooSlow } from './faults.js';
import { sendGuarded } from './guarded-command.js';
import { script, type Argument, type Script } from './lua.js';
import { ServerLimits } from './server-limits.js';

/** A script with its arguments: the number of keys, the keys, the rest. */
export interface Call {
  readonly script: Script;
  readonly bucket: number;
  readonly args: readonly Argument[];
  /** `null`: text as bytes. */
  readonly replies: 'utf8' | null;
  /** Past automatic pipelining: it is a batch already. */
  readonly atOnce: boolean;
}

/** Starts a command under a deadline of its own. */
export type Send = <T>(bucket: number, start: (deadline: Deadline) => Promise<T>) => Promise<T>;

/** Scripts on their way: by digest, by text where the server does not know it, and those that write with a limit. */
export class Evaluation {
  readonly #limits = new ServerLimits();
  /** Questions for a server's time under way, by server; empty when idle. */
  readonly #asking = new Map<string, Promise<void>>();

  constructor(
    readonly connection: Connection,
    readonly deadlines: Deadlines,
    readonly send: Send,
  ) {}

  /** Sent at once, unless the server's clock has to be asked for first. */
  run(call: Call, deadline: Deadline): Promise<unknown> {
    const server = this.connection.serverOf(call.bucket);
    this.#limits.forgetBefore(this.connection.generation);
    const isKnown = this.#limitOf(server, deadline) !== undefined;
    if (call.script.isTimed && !isKnown) return this.#runOnceAsked(call, deadline, server);
    const answer = call.script.isTimed
      ? this.#runUntil(call, deadline, server)
      : this.#run(call, deadline);
    // After it: the first command to a server of a Cluster has the client connect, and a second one would not be taken.
    if (!isKnown || this.#limits.isDue(server, this.deadlines.now()))
      this.#ask(server, call).catch(ignoreHere);
    return answer;
  }

  async #runOnceAsked(call: Call, deadline: Deadline, server: string): Promise<unknown> {
    await this.#ask(server, call);
    if (deadline.isOver) throw tooSlow(this.deadlines.lengthMs);
    return this.#runUntil(call, deadline, server);
  }

  async #runUntil(call: Call, deadline: Deadline, server: string): Promise<unknown> {
    const askedAt = this.deadlines.now();
    try {
      return await this.#run(this.#limited(call, deadline, server), deadline);
    } catch (error) {
      if (deadline.isOver || !startsWith(error, LATE)) throw error;
      // Somebody set a clock, or this process stood still before it was sent. The server did nothing.
      this.#limits.learn(server, timeIn(error), askedAt, this.deadlines.now());
      if (this.deadlines.effective(deadline.at) <= this.deadlines.now())
        throw tooSlow(this.deadlines.lengthMs);
    }
    return this.#run(this.#limited(call, deadline, server), deadline);
  }

  #limited(call: Call, deadline: Deadline, server: string): Call {
    const limit = this.#limitOf(server, deadline) ?? Infinity;
    return { ...call, args: [...call.args, limit === Infinity ? '' : limit] };
  }

  #limitOf(server: string, { at }: Deadline): number | undefined {
    return this.#limits.limit(server, this.deadlines.effective(at));
  }

  #ask(server: string, { bucket, args }: Call): Promise<void> {
    const asking = this.#asking.get(server);
    if (asking) return asking;
    const question = { script: TELL_TIME, bucket, args: [1, args[1]!], replies: 'utf8' } as const;
    const answer = this.send(bucket, async (deadline) => {
      const askedAt = this.deadlines.now();
      const time = await this.#run({ ...question, atOnce: true }, deadline);
      const now = this.deadlines.now();
      if (Array.isArray(time)) this.#limits.learn(server, msOf(time as string[]), askedAt, now);
      else this.#limits.learnNothing(server, now);
    }).finally(() => this.#asking.delete(server));
    this.#asking.set(server, answer);
    return answer;
  }

  #run(call: Call, deadline: Deadline): Promise<unknown> {
    return this.#evaluate('evalsha', call.script.sha, call, deadline).catch((error: unknown) => {
      if (deadline.isOver || !startsWith(error, 'NOSCRIPT')) throw error;
      return this.#evaluate('eval', call.script.text, call, deadline);
    });
  }

  #evaluate(
    name: 'eval' | 'evalsha',
    text: string,
    call: Call,
    deadline: Deadline,
  ): Promise<unknown> {
    const { client, isCluster, isOwned } = this.connection;
    const args = [text, ...call.args];
    // Automatic pipelining would choose the server by the first argument, which here is no key. A client that is not
    // ours may have a queue for when it is not connected, out of which nothing must come late.
    if (call.atOnce || isCluster || !isOwned)
      return sendGuarded(client, name, args as string[], call.replies, deadline);
    const send = client as unknown as Record<
      string,
      (...args: readonly Argument[]) => Promise<unknown>
    >;
    return call.replies === null ? send[`${name}Buffer`]!(...args) : send[name]!(...args);
  }
}

/** What the server answers to a write whose limit has passed, with its time; see `TIMED` in lua.ts. */
const LATE = 'LATE';

/** A user without the right to ask has no limits: docs/redis.md says what that costs. */
const TELL_TIME = script(`
local now = redis.pcall('TIME')
if now.err then return false end
return now
`);

function timeIn(error: unknown): number {
  return msOf((error as Error).message.split(' ').slice(1));
}

function msOf([seconds, micros]: readonly string[]): number {
  return Number(seconds) * 1000 + Number(micros) / 1000;
}

function ignoreHere(): void {}
