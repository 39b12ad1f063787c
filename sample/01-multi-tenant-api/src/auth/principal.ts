import { createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';
import type { Session } from './sessions.js';

/** Who is asking, as the token says. The cache finds `orgId` and `id` here by itself. */
export interface Principal {
  readonly id: number;
  readonly orgId: string;
  readonly role: 'admin' | 'member';
}

/** What the guard puts on a request. */
export interface AuthenticatedRequest {
  readonly headers: Record<string, string | undefined>;
  user?: Principal;
  session?: Session;
}

export const CurrentUser = createParamDecorator(
  (_data: unknown, context: ExecutionContext) =>
    context.switchToHttp().getRequest<AuthenticatedRequest>().user,
);

export const CurrentSession = createParamDecorator(
  (_data: unknown, context: ExecutionContext) =>
    context.switchToHttp().getRequest<AuthenticatedRequest>().session,
);

export const IS_PUBLIC = 'sample:public';
/** A route that needs no token. */
export const Public = (): MethodDecorator => SetMetadata(IS_PUBLIC, true);

export const NEEDS_ADMIN = 'sample:admin';
/** A route for administrators of an organization. */
export const AdminOnly = (): MethodDecorator => SetMetadata(NEEDS_ADMIN, true);
