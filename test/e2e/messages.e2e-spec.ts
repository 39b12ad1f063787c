/* oxlint-disable typescript/no-explicit-any -- clients, payloads and contexts of other packages */
import {
  Controller,
  Injectable,
  UseGuards,
  UseInterceptors,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
} from '@nestjs/common';
import {
  Ctx,
  ClientProxyFactory,
  MessagePattern,
  Payload,
  Transport,
  type ClientProxy,
} from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  AbstractWsAdapter,
  ConnectedSocket,
  MessageBody,
  SubscribeMessage,
  WebSocketGateway,
} from '@nestjs/websockets';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { firstValueFrom, from, lastValueFrom, mergeMap, type Observable } from 'rxjs';
import { io } from 'socket.io-client';
import {
  Cacheable,
  CacheEvict,
  CacheModule,
  CacheScopeInterceptor,
  CacheService,
} from 'nestjs-scoped-cache';
import { spyOnWarnings } from '../support/nest/warnings.js';

// Comes with socket.io; @nestjs/platform-ws uses the same.
const ws = createRequire(createRequire(import.meta.url).resolve('socket.io-client'))('ws') as any;

let runs = 0;

@Injectable()
class Greeter {
  constructor(readonly cache: CacheService) {}

  @Cacheable({ scope: 'user' })
  greet(): number {
    return ++runs;
  }
}

/** Puts the authenticated sender where guards for the transport usually do. */
@Injectable()
class SenderGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (context.getType() === 'ws') {
      const client = context.switchToWs().getClient();
      if (client.handshake) client.data.user = client.handshake.auth.user;
    }
    if (context.getType() === 'rpc') {
      const { token } = context.switchToRpc().getData() ?? {};
      if (token) context.switchToRpc().getContext().user = JSON.parse(token);
    }
    return true;
  }
}

// Before Nest 12, gateways know no global guards or interceptors.
@UseGuards(SenderGuard)
@UseInterceptors(CacheScopeInterceptor)
@WebSocketGateway()
class Gateway {
  constructor(readonly greeter: Greeter) {}

  /** Clients of ws are bare sockets: applications put the user on them when they connect. */
  handleConnection(client: any, request?: any): void {
    if (request) client.user = JSON.parse(request.headers['x-proven-user']);
  }

  @SubscribeMessage('decorated')
  @Cacheable({ scope: 'user' })
  decorated(@MessageBody() body: unknown): object {
    return { run: ++runs, body };
  }
  @SubscribeMessage('provider')
  provider(@ConnectedSocket() _client: unknown): unknown {
    return this.greeter.greet();
  }
  @SubscribeMessage('omitted')
  @Cacheable()
  omitted(@MessageBody() _body: unknown): number {
    return ++runs;
  }
}

@Controller()
class Messages {
  constructor(readonly greeter: Greeter) {}

  @MessagePattern('decorated')
  @Cacheable({ name: 'decorated', scope: 'user', key: ({ data }) => data.n })
  decorated(@Payload() data: any, @Ctx() _context: unknown): object {
    return { run: ++runs, n: data.n };
  }
  @MessagePattern('context')
  @Cacheable({ scope: 'user' })
  withContext(@Payload() _data: any, @Ctx() _context: unknown): number {
    return ++runs;
  }
  @MessagePattern('implicit')
  @Cacheable({ scope: 'user' })
  implicit(data: any): object {
    return { run: ++runs, n: data.n };
  }
  @MessagePattern('change')
  @CacheEvict({ name: 'decorated', scope: 'user', key: ({ data }) => data.n })
  change(@Payload() _data: any): boolean {
    return true;
  }
  @MessagePattern('provider')
  provider(): unknown {
    return this.greeter.greet();
  }
  @MessagePattern('global')
  @Cacheable({ scope: 'global' })
  forAll(@Payload() _data: any): number {
    return ++runs;
  }
}

const ann = { id: 'ann', orgId: 'o1' };
const bob = { id: 'bob', orgId: 'o1' };

describe.each([
  ['socket.io on Express', false, () => new ExpressAdapter()],
  ['socket.io on Fastify', false, () => new FastifyAdapter()],
  ['ws on Express', true, () => new ExpressAdapter()],
  ['ws on Fastify', true, () => new FastifyAdapter()],
] as [string, boolean, () => any][])('WebSocket gateways: %s', (_, isBare, httpAdapter) => {
  let app: INestApplication;
  const sockets: { close(): unknown }[] = [];
  const warnings = spyOnWarnings();

  beforeAll(async () => {
    const module = await Test.createTestingModule({
      imports: [CacheModule.forRoot()],
      providers: [Greeter, Gateway],
    }).compile();
    app = module.createNestApplication(httpAdapter(), { logger: false });
    if (isBare) app.useWebSocketAdapter(new BareWsAdapter(app));
    app.useGlobalGuards(new SenderGuard());
    await app.listen(0, '127.0.0.1');
  });
  beforeEach(async () => {
    runs = 0;
    warnings.clear();
    await app.get(CacheService).clear();
  });
  afterAll(async () => {
    for (const socket of sockets) socket.close();
    await app.close();
  });

  const connect = async (user: object) => {
    if (isBare) {
      const client = new BareClient(await app.getUrl(), user);
      sockets.push(client);
      return client.ask;
    }
    const socket = io(await app.getUrl(), { transports: ['websocket'], auth: { user } });
    sockets.push(socket);
    return (event: string, data?: unknown) => socket.timeout(4_000).emitWithAck(event, data);
  };

  it('P1: each client is answered from its own user scope, by payload', async () => {
    const [asAnn, asBob] = [await connect(ann), await connect(bob)];
    const answers = [
      await asAnn('decorated', { a: 1, b: 2 }),
      await asAnn('decorated', { b: 2, a: 1 }),
      await asAnn('decorated', { a: 2, b: 2 }),
      await asBob('decorated', { a: 1, b: 2 }),
    ];
    expect(answers.map(({ run }) => run)).toEqual([1, 1, 2, 3]);
  });

  it('providers that a gateway calls find the ids of its client', async () => {
    const [asAnn, asBob] = [await connect(ann), await connect(bob)];
    expect([
      await asAnn('provider', 0),
      await asAnn('provider', 1),
      await asBob('provider', 0),
    ]).toEqual([1, 1, 2]);
    expect(warnings.texts).toEqual([]);
  });

  it('P3: an omitted scope bypasses for a known client', async () => {
    const asAnn = await connect(ann);
    expect([await asAnn('omitted', 1), await asAnn('omitted', 1)]).toEqual([1, 2]);
    expect(warnings.texts.join()).toMatch(/Gateway\.omitted.*no scope says/);
  });
});

describe.each([
  ['a microservice', undefined, () => new ExpressAdapter()],
  ['a hybrid application that inherits', true, () => new ExpressAdapter()],
  ['a hybrid application that does not', false, () => new ExpressAdapter()],
  ['a hybrid application on Fastify', true, () => new FastifyAdapter()],
] as [string, boolean | undefined, () => any][])(
  'RPC handlers over TCP in %s',
  (_kind, inheritAppConfig, httpAdapter) => {
    let app: { close(): Promise<void>; get: INestApplication['get'] };
    let client: ClientProxy;
    const warnings = spyOnWarnings();

    beforeAll(async () => {
      @UseGuards(SenderGuard)
      @UseInterceptors(CacheScopeInterceptor)
      class Intercepted extends Messages {}
      Reflect.decorate([Controller()], Intercepted);
      const port = await freePort();
      const transport = { transport: Transport.TCP as const, options: { host: '127.0.0.1', port } };
      const module = await Test.createTestingModule({
        imports: [CacheModule.forRoot()],
        controllers: [inheritAppConfig === false ? Intercepted : Messages],
        providers: [Greeter],
      }).compile();
      if (inheritAppConfig === undefined) {
        const service = module.createNestMicroservice({ ...transport, logger: false });
        service.useGlobalGuards(new SenderGuard());
        await service.listen();
        app = service;
      } else {
        const hybrid = module.createNestApplication(httpAdapter(), { logger: false });
        if (inheritAppConfig) hybrid.useGlobalGuards(new SenderGuard());
        hybrid.connectMicroservice(transport, { inheritAppConfig });
        await hybrid.startAllMicroservices();
        await hybrid.init();
        app = hybrid;
      }
      client = ClientProxyFactory.create(transport);
      await client.connect();
    });
    beforeEach(async () => {
      runs = 0;
      warnings.clear();
      await app.get(CacheService).clear();
    });
    afterAll(async () => {
      client.close();
      await app.close();
    });

    const send = (pattern: string, user: object | undefined, n = 1): Promise<any> =>
      firstValueFrom(client.send(pattern, { n, ...(user && { token: JSON.stringify(user) }) }));

    it('P1: each sender is answered from its own user scope', async () => {
      const answers = [
        await send('decorated', ann),
        await send('decorated', ann),
        await send('decorated', bob),
      ];
      expect(answers.map(({ run }) => run)).toEqual([1, 1, 2]);
      await send('change', ann);
      expect([(await send('decorated', ann)).run, (await send('decorated', bob)).run]).toEqual([
        3, 2,
      ]);
    });

    it('@Ctx() is no header that a default key would have to hold', async () => {
      const answers = [
        await send('context', ann),
        await send('context', ann),
        await send('context', bob),
      ];
      expect(answers).toEqual([1, 1, 2]);
      expect(warnings.texts).toEqual([]);
    });

    it('P2: the payload is no identity', async () => {
      const spoofed = () =>
        firstValueFrom(client.send('decorated', { n: 1, user: ann, orgId: 'o1', userId: 'ann' }));
      await send('decorated', ann);
      expect((await spoofed()).run).toBe(2);
      expect(warnings.texts.join()).toMatch(/Missing the org id/);
    });

    it('handlers that take their payload without a decorator', async () => {
      const answers = [
        await send('implicit', ann),
        await send('implicit', ann),
        await send('implicit', bob),
      ];
      expect(answers.map(({ run, n }) => [run, n])).toEqual([
        [1, 1],
        [1, 1],
        [2, 1],
      ]);
    });

    it('providers that a handler calls find the ids of its sender', async () => {
      expect([
        await send('provider', ann),
        await send('provider', ann),
        await send('provider', bob),
      ]).toEqual([1, 1, 2]);
    });

    it('global entries are shared', async () => {
      expect([await send('global', undefined), await send('global', undefined)]).toEqual([1, 1]);
    });
  },
);

/** What @nestjs/platform-ws does, as far as these tests need it: bare sockets of ws, messages with event, data and id. */
class BareWsAdapter extends AbstractWsAdapter<any, any, any> {
  create(): unknown {
    return new ws.WebSocketServer({ server: this.httpServer });
  }
  bindMessageHandlers(client: any, handlers: any[], transform: (answer: any) => Observable<any>) {
    client.on('message', (text: Buffer) => {
      const { event, data, id } = JSON.parse(String(text));
      const handler = handlers.find(({ message }) => message === event);
      void lastValueFrom(
        from(handler.callback(data) as Promise<any>).pipe(mergeMap(transform)),
      ).then((answer) => client.send(JSON.stringify({ id, answer })));
    });
  }
}

class BareClient {
  readonly #socket: any;
  readonly #opened: Promise<unknown>;
  #asked = 0;

  constructor(url: string, user: object) {
    this.#socket = new ws.WebSocket(url.replace(/^http/, 'ws'), {
      headers: { 'x-proven-user': JSON.stringify(user) },
    });
    this.#opened = once(this.#socket, 'open');
  }
  readonly ask = async (event: string, data?: unknown): Promise<any> => {
    await this.#opened;
    const id = ++this.#asked;
    const answered = once(this.#socket, 'message', { signal: AbortSignal.timeout(4_000) });
    this.#socket.send(JSON.stringify({ event, data, id }));
    const [text] = await answered;
    return JSON.parse(String(text)).answer;
  };
  close(): void {
    this.#socket.terminate();
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
