/* oxlint-disable typescript/no-explicit-any -- frameworks' requests and parsed answers */
import type {
  CanActivate,
  ExecutionContext,
  INestApplication,
  ModuleMetadata,
  Provider,
  Type,
} from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import {
  CACHE_PLATFORM,
  CacheModule,
  CacheService,
  type CacheModuleOptions,
  type Platform,
} from 'nestjs-scoped-cache';

export const ADAPTERS = ['express', 'fastify'] as const;
export type AdapterName = (typeof ADAPTERS)[number];

export interface AppParts {
  readonly controllers?: Type[];
  readonly providers?: Provider[];
  readonly imports?: ModuleMetadata['imports'];
  readonly cache?: CacheModuleOptions;
  /** With a clock to move. Default: that of production. */
  readonly platform?: Platform;
  /** Before `init`. */
  readonly prepare?: (app: INestApplication) => void;
}

export interface Answer {
  readonly status: number;
  readonly body: any;
  readonly headers: Headers;
  /** The `Cache-Status` header, `''` when there is none. */
  readonly cache: string;
}

/** An application that really listens, and a client for it. */
export class RunningApp {
  constructor(
    readonly app: INestApplication,
    readonly url: string,
  ) {}

  get cache(): CacheService {
    return this.app.get(CacheService);
  }

  /** @param user goes into a token that {@link TokenGuard} takes as proof */
  async send(method: string, path: string, user?: object, init: RequestInit = {}): Promise<Answer> {
    const headers = { ...(user && { authorization: tokenOf(user) }), ...(init.headers as object) };
    const response = await fetch(this.url + path, { ...init, method, headers });
    const text = await response.text();
    return {
      status: response.status,
      body: parsed(text),
      headers: response.headers,
      cache: response.headers.get('cache-status') ?? '',
    };
  }

  get(path: string, user?: object, init?: RequestInit): Promise<Answer> {
    return this.send('GET', path, user, init);
  }

  async close(): Promise<void> {
    await this.app.close();
  }
}

export function tokenOf(user: object): string {
  return `Bearer ${Buffer.from(JSON.stringify(user)).toString('base64url')}`;
}

/** Stands for any authentication: the user is on the request only once the guard has run. */
export class TokenGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest();
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (token) request.user = JSON.parse(Buffer.from(token, 'base64url').toString());
    return true;
  }
}

export async function startApp(adapter: AdapterName, parts: AppParts): Promise<RunningApp> {
  const builder = Test.createTestingModule({
    imports: [CacheModule.forRoot(parts.cache), ...(parts.imports ?? [])],
    controllers: parts.controllers ?? [],
    providers: parts.providers ?? [],
  });
  if (parts.platform) builder.overrideProvider(CACHE_PLATFORM).useValue(parts.platform);
  const module = await builder.compile();
  const app = module.createNestApplication(
    adapter === 'express'
      ? new ExpressAdapter()
      : (new FastifyAdapter({ forceCloseConnections: true }) as never),
    {
      logger: false,
      // fetch keeps its connections open.
      forceCloseConnections: true,
    },
  );
  app.useGlobalGuards(new TokenGuard());
  parts.prepare?.(app);
  await app.listen(0, '127.0.0.1');
  return new RunningApp(app, (await app.getUrl()).replace('[::1]', '127.0.0.1'));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
