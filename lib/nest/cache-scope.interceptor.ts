import {
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import type { Observable } from 'rxjs';
import { CurrentRequest } from './request-context.js';
import { RequestScopeContext } from './scope-context.js';

/**
 * Opens the scope context for RPC and WebSocket handlers, so that providers which they call find the ids of the sender.
 *
 * The module applies it by itself where an application has gateways or message handlers. It is needed by hand,
 * `@UseInterceptors(CacheScopeInterceptor)`, only where Nest knows no global interceptors: in gateways before Nest 12, and
 * after `connectMicroservice` without `inheritAppConfig`. Handlers with cache decorators never need it, and over HTTP it does
 * nothing: the context is open already.
 */
@Injectable()
export class CacheScopeInterceptor implements NestInterceptor {
  constructor(private readonly context: RequestScopeContext) {}

  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (this.context.request?.isHttpOf(execution) === true) return next.handle();
    return this.context.serve(CurrentRequest.from(execution), () => next.handle());
  }
}
