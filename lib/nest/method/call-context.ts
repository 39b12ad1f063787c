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

  // Each property by its name, not through one function for all: on Express that is what a look-up's cost depends on.
  get params(): Bag {
    return (this.request as RequestParts | undefined)?.params ?? {};
  }

  get query(): Bag {
    return (this.request as RequestParts | undefined)?.query ?? {};
  }

  get headers(): Bag {
    return (this.request as RequestParts | undefined)?.headers ?? {};
  }

  get body(): unknown {
    return (this.request as RequestParts | undefined)?.body;
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
}

type Bag = Record<string, unknown>;

interface RequestParts {
  readonly params?: Bag;
  readonly query?: Bag;
  readonly headers?: Bag;
  readonly body?: unknown;
}
