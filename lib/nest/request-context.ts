import type { ContextType, ExecutionContext } from '@nestjs/common';

/**
 * The request that is being served, as scope resolvers see it. Everything is read at the time of asking, so a user that
 * a guard has just attached is there. Without a request, in a job for example, all of it is `undefined`.
 */
export interface RequestContext {
  /** `'none'`: no request is being served. */
  readonly type: 'http' | 'graphql' | 'ws' | 'rpc' | 'none' | (string & {});
  /** HTTP and GraphQL: the framework's request. WebSocket: the client. RPC: the transport's context. */
  // oxlint-disable-next-line typescript/no-explicit-any -- its shape belongs to the platform and its plugins
  readonly request: any;
  /** Whom guards or middleware authenticated: `request.user`; WebSocket also `client.data.user`; GraphQL also `context.user`. */
  // oxlint-disable-next-line typescript/no-explicit-any -- its shape belongs to the application
  readonly user: any;
  /** `request.session`; WebSocket: that of the handshake's request, or `client.data.session`. */
  // oxlint-disable-next-line typescript/no-explicit-any -- its shape belongs to the session plugin
  readonly session: any;
  /** WebSocket and RPC: the payload. It comes from the sender, so do not take ids from it unless the sender is trusted. */
  readonly data?: unknown;
  /** Once a handler has been chosen and a cache decorator or `CacheScopeInterceptor` has seen it. */
  readonly executionContext?: ExecutionContext | undefined;
}

type Bag = Record<string, unknown> | null | undefined;

/** One request under way. Lives as long as the request; nothing else refers to it. */
export class CurrentRequest implements RequestContext {
  /** @param graph the context object of GraphQL, which may carry the user itself */
  constructor(
    readonly type: string,
    public request: unknown,
    /** HTTP only. On Fastify the raw one until routing, then the reply. */
    public response: unknown,
    readonly data?: unknown,
    readonly graph?: unknown,
    public executionContext?: ExecutionContext | undefined,
  ) {}

  /** Reads the parts of any transport's context, without needing that transport's package. */
  static from(context: ExecutionContext): CurrentRequest {
    const type = context.getType<ContextType | 'graphql'>();
    switch (type) {
      case 'http': {
        return new CurrentRequest(
          type,
          context.getArgByIndex(0),
          context.getArgByIndex(1),
          undefined,
          undefined,
          context,
        );
      }
      case 'ws': {
        const ws = context.switchToWs();
        return new CurrentRequest(
          type,
          ws.getClient(),
          undefined,
          ws.getData(),
          undefined,
          context,
        );
      }
      case 'rpc': {
        const rpc = context.switchToRpc();
        return new CurrentRequest(
          type,
          rpc.getContext(),
          undefined,
          rpc.getData(),
          undefined,
          context,
        );
      }
      case 'graphql': {
        const graph = context.getArgByIndex<Bag>(2);
        return new CurrentRequest(
          type,
          graph?.['req'] ?? graph?.['request'],
          undefined,
          context.getArgByIndex(1),
          graph,
          context,
        );
      }
      default:
        return new CurrentRequest(type, undefined, undefined, undefined, undefined, context);
    }
  }

  get user(): unknown {
    const request = this.request as Bag;
    return (
      request?.['user'] ??
      // Middleware on Fastify, passport for example, sees the raw request and puts the user there.
      (request?.['raw'] as Bag)?.['user'] ??
      (this.graph as Bag)?.['user'] ??
      (this.type === 'ws' ? this.#wsUser(request) : undefined)
    );
  }

  get session(): unknown {
    const request = this.request as Bag;
    const own = request?.['session'] ?? (request?.['raw'] as Bag)?.['session'];
    if (own !== undefined || this.type !== 'ws') return own;
    return (request?.['request'] as Bag)?.['session'] ?? (request?.['data'] as Bag)?.['session'];
  }

  /** Whether this is the HTTP request that `execution` belongs to, wrapped or raw. */
  isHttpOf(execution: ExecutionContext): boolean {
    if (this.type !== 'http' || execution.getType() !== 'http') return false;
    // Not switchToHttp(), which builds four closures for each call.
    const other = execution.getArgByIndex<Bag>(0);
    return this.request === other || this.request === other?.['raw'];
  }

  #wsUser(client: Bag): unknown {
    return (client?.['data'] as Bag)?.['user'] ?? (client?.['request'] as Bag)?.['user'];
  }
}

/** What resolvers get where no request is being served. */
export const NO_REQUEST: RequestContext = Object.freeze({
  type: 'none',
  request: undefined,
  user: undefined,
  session: undefined,
  data: undefined,
  executionContext: undefined,
});
