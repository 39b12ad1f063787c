import type { HttpServer } from '@nestjs/common';
import { CurrentRequest } from './request-context.js';
import type { RequestScopeContext } from './scope-context.js';

type Next = (error?: unknown) => void;
type FastifyHook = (request: { raw: object }, reply: unknown, done: Next) => void;
interface FastifyLike {
  addHook(name: 'preHandler', hook: FastifyHook): unknown;
}

/**
 * Opens the scope context for every HTTP request of an application, whatever its path, before Nest's own middleware.
 *
 * On Fastify that is not enough: middleware sees the raw request, while guards put the user on the wrapped one, and
 * parsing a body may lose the asynchronous context (nestjs/nest#8837). A hook right before the handler enters it anew.
 */
export function openScopeForHttp(adapter: HttpServer, context: RequestScopeContext): void {
  const open = new WeakMap<object, CurrentRequest>();
  adapter.use((request: object, response: unknown, next: Next) => {
    const current = new CurrentRequest('http', request, response);
    if (adapter.getType() === 'fastify') open.set(request, current);
    context.serve(current, next);
  });
  if (adapter.getType() !== 'fastify') return;
  (adapter.getInstance() as FastifyLike).addHook('preHandler', (request, reply, done) => {
    const current = open.get(request.raw) ?? new CurrentRequest('http', request, reply);
    current.request = request;
    current.response = reply;
    context.serve(current, done);
  });
}
