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
import {
  ConnectedSocket,
  MessageBody,
  SubscribeMessage,
  WebSocketGateway,
} from '@nestjs/websockets';
import { createServer } from 'node:net';
import { firstValueFrom } from 'rxjs';
import { io, type Socket } from 'socket.io-client';
import {
  Cacheable,
  CacheEvict,
  CacheModule,
  CacheScopeInterceptor,
  CacheService,
} from 'nestjs-scoped-cache';
import { spyOnWarnings } from '../support/nest/warnings.js';

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
      client.data.user = client.handshake.auth.user;
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

describe('WebSocket gateways', () => {
  let app: INestApplication;
  const sockets: Socket[] = [];
  const warnings = spyOnWarnings();

  beforeAll(async () => {
    const module = await Test.createTestingModule({
      imports: [CacheModule.forRoot()],
      providers: [Greeter, Gateway],
    }).compile();
    app = module.createNestApplication({ logger: false });
    app.useGlobalGuards(new SenderGuard());
    await app.listen(0, '127.0.0.1');
  });
  beforeEach(async () => {
    runs = 0;
    warnings.clear();
    await app.get(CacheService).clear();
  });
  afterAll(async () => {
    for (const socket of sockets) socket.disconnect();
    await app.close();
  });

  const connect = async (user: object) => {
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
  ['a microservice', { inheritAppConfig: undefined }],
  ['a hybrid application that inherits', { inheritAppConfig: true }],
  ['a hybrid application that does not', { inheritAppConfig: false }],
] as const)('RPC handlers over TCP in %s', (_kind, { inheritAppConfig }) => {
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
      const hybrid = module.createNestApplication({ logger: false });
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
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
