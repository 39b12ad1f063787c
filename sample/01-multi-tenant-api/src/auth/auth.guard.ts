import {
  ForbiddenException,
  Injectable,
  UnauthorizedException,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { JwtService } from '@nestjs/jwt';
import { IS_PUBLIC, NEEDS_ADMIN, type AuthenticatedRequest, type Principal } from './principal.js';
import { Sessions } from './sessions.js';

/** Checks the token, and puts `user` and `session` on the request: all that the cache needs to know. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly jwt: JwtService,
    private readonly sessions: Sessions,
    private readonly reflector: Reflector,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined && this.reflector.get(IS_PUBLIC, context.getHandler())) return true;
    const user = await this.#verified(token);
    if (this.reflector.get(NEEDS_ADMIN, context.getHandler()) && user.role !== 'admin')
      throw new ForbiddenException('For administrators only.');
    request.user = user;
    const session = this.sessions.find(cookie(request, 'sid'), user);
    if (session) request.session = session;
    return true;
  }

  async #verified(token: string | undefined): Promise<Principal> {
    if (token === undefined) throw new UnauthorizedException('Log in first: POST /login.');
    try {
      const { id, orgId, role } = await this.jwt.verifyAsync<Principal>(token);
      return { id, orgId, role };
    } catch (error) {
      throw new UnauthorizedException('The token is not valid.', { cause: error });
    }
  }
}

function cookie({ headers }: AuthenticatedRequest, name: string): string | undefined {
  const pairs = (headers.cookie ?? '').split(';').map((pair) => pair.trim().split('='));
  return pairs.find(([key]) => key === name)?.[1];
}
