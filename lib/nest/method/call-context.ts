import type { ExecutionContext } from '@nestjs/common';
import type { CurrentRequest } from '../request-context.js';

/* oxlint-disable typescript/no-explicit-any -- requests, users and bodies have the application's types, not ours */

/**
 * The call that a key, condition, tag list or scope is about. Handlers see their request; provider methods see the request
 * that is being served when they are called, if any. Everything may be destructured.
 */
export interface CallContext<Args extends readonly unknown[] = any[], Result = any> {
  /** The arguments as the method gets them, after pipes. */
  readonly args: Args;
  /** The object whose method is called. */
  readonly target: object;
  /** Route parameters; `{}` outside of HTTP. */
  readonly params: Readonly<Record<string, any>>;
  /** The parsed query string; `{}` outside of HTTP. */
  readonly query: Readonly<Record<string, any>>;
  /** The parsed body, if any. */
  readonly body: any;
  /** Request headers by lower-case name; `{}` outside of HTTP. */
  readonly headers: Readonly<Record<string, any>>;
  /** See {@link RequestContext.user}. */
  readonly user: any;
  /** See {@link RequestContext.session}. */
  readonly session: any;
  /** See {@link RequestContext.request}. */
  readonly request: any;
  /** The payload of a WebSocket or RPC message, the arguments of a GraphQL field. */
  readonly data: any;
  /** For handlers. */
  readonly executionContext: ExecutionContext | undefined;
  /** What the method returned. `undefined` before it has: only `unless`, `@CachePut` and late evictions see it. */
  readonly result: Result;
}
/* oxlint-enable typescript/no-explicit-any */

/** One call of a decorated method. */
export class MethodCall implements CallContext {
  /** Whether someone asked for `result` before there was one: then the answer cannot be final yet. */
  askedForResult = false;
  #result: unknown;

  constructor(
    readonly target: object,
    readonly args: unknown[],
    readonly current: CurrentRequest | undefined,
    /** Set when Nest calls a handler, unset when other code calls the same method. */
    readonly executionContext: ExecutionContext | undefined,
  ) {}

  get params(): Record<string, unknown> {
    return this.#bag('params');
  }

  get query(): Record<string, unknown> {
    return this.#bag('query');
  }

  get headers(): Record<string, unknown> {
    return this.#bag('headers');
  }

  get body(): unknown {
    return (this.request as { body?: unknown } | undefined)?.body;
  }

  get user(): unknown {
    return this.current?.user;
  }

  get session(): unknown {
    return this.current?.session;
  }

  get request(): unknown {
    return this.current?.request;
  }

  get data(): unknown {
    return this.current?.data;
  }

  get result(): unknown {
    this.askedForResult = true;
    return this.#result;
  }

  /** The same call, finished. */
  finished(result: unknown): MethodCall {
    const after = new MethodCall(this.target, this.args, this.current, this.executionContext);
    after.#result = result;
    return after;
  }

  #bag(name: 'params' | 'query' | 'headers'): Record<string, unknown> {
    return ((this.request as Record<string, unknown> | undefined)?.[name] ?? {}) as Record<
      string,
      unknown
    >;
  }
}
