import { scrypt as scryptWithCallback, scryptSync, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import {
  Body,
  Controller,
  HttpCode,
  Inject,
  Post,
  Res,
  UnauthorizedException,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { JwtService } from '@nestjs/jwt';
import { CacheService } from 'nestjs-scoped-cache';
import { Database } from '../data/database.js';
import { textField } from '../data/text-field.js';
import { CurrentSession, Public, type Principal } from './principal.js';
import { Sessions, type Session } from './sessions.js';

const scrypt = promisify<string, string, number, Buffer>(scryptWithCallback);
/** Everybody's password in this sample is `demo`. */
const SALT = 'sample';
const PASSWORD_HASH = scryptSync('demo', SALT, 32);

@Controller()
export class AuthController {
  constructor(
    private readonly jwt: JwtService,
    private readonly sessions: Sessions,
    private readonly database: Database,
    private readonly cache: CacheService,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
  ) {}

  /** A token that names user and organization, and a cookie for the session. */
  @Public()
  @Post('login')
  @HttpCode(200)
  async login(@Body() body: unknown, @Res({ passthrough: true }) response: object) {
    const orgId = textField(body, 'org');
    const user = await this.database.userByEmail(orgId, textField(body, 'email'));
    const hash = await scrypt(textField(body, 'password'), SALT, 32);
    if (!user || !timingSafeEqual(hash, PASSWORD_HASH))
      throw new UnauthorizedException('No such user, or a wrong password.');
    const principal: Principal = { id: user.id, orgId, role: user.role };
    const { id } = this.sessions.start(principal);
    const cookie = `sid=${id}; HttpOnly; SameSite=Strict; Path=/`;
    this.host.httpAdapter.setHeader!(response, 'Set-Cookie', cookie);
    return { token: await this.jwt.signAsync(principal) };
  }

  /** Ends the session, and forgets what was cached for it. */
  @Post('logout')
  @HttpCode(200)
  async logout(@CurrentSession() session: Session | undefined) {
    if (!session) return { evicted: 0 };
    const evicted = await this.cache.evictScope('session');
    this.sessions.end(session);
    return { evicted };
  }
}
