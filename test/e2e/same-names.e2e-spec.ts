import { Controller, Get, Module, Param, Post, Version, type Type } from '@nestjs/common';
import { RouterModule } from '@nestjs/core';
import { Cacheable, CacheConfig, type CacheableOptions } from 'nestjs-scoped-cache';
import { startApp, type AppParts } from '../support/nest/start-app.js';

/** Nest tells handlers apart by module path, version and host. Names of classes and routes do not show these. */

const usersController = (path: string, options: CacheableOptions): Type => {
  @Controller(path)
  class UsersController {
    @Get(':id')
    @Cacheable({ scope: 'global', ...options })
    show(@Param('id') id: string): string {
      return `${path} ${id}`;
    }
  }
  return UsersController;
};

const inModules = async (one: Type, other: Type): Promise<void> => {
  @Module({ controllers: [one] })
  class AdminModule {}
  @Module({ controllers: [other] })
  class PublicModule {}
  const routes = RouterModule.register([
    { path: 'admin', module: AdminModule },
    { path: 'public', module: PublicModule },
  ]);
  await started({ imports: [AdminModule, PublicModule, routes] });
};

const started = async (parts: AppParts): Promise<void> => {
  await (await startApp('express', parts)).close();
};

describe('handlers that would share entries', () => {
  it('P4 two controllers of one name and path, in modules with paths of their own, are an error at start-up', () =>
    expect(inModules(usersController('users', {}), usersController('users', {}))).rejects.toThrow(
      /Two different classes are called UsersController and both cache UsersController\.show/,
    ));

  it('P4 two controllers of one name are an error when their keys are the application’s own', () => {
    const key = { key: '{params.id}' };
    return expect(inModules(usersController('a', key), usersController('b', key))).rejects.toThrow(
      /Two different classes are called UsersController/,
    );
  });

  it('two controllers of one name on two paths do not, by the default key', () =>
    inModules(usersController('a', {}), usersController('b', {})));

  it('two controllers share a name with keys of their own if they were given it', () => {
    const shared = { name: 'users', key: '{params.id}' };
    return inModules(usersController('a', shared), usersController('b', shared));
  });

  it('P4 two versions of a route under one name are an error at start-up', () => {
    @Controller('products')
    @CacheConfig({ name: 'products', scope: 'global' })
    class Products {
      @Get() @Version('1') @Cacheable() one(): string {
        return 'one';
      }
      @Get() @Version('2') @Cacheable() two(): string {
        return 'two';
      }
    }
    return expect(started({ controllers: [Products] })).rejects.toThrow(
      /Products\.(one|two) and Products\.(one|two) both cache under the name "products"/,
    );
  });

  it('GET and POST of one route do not: without a key, a POST is never cached', async () => {
    @Controller('orders')
    @CacheConfig({ name: 'orders', scope: 'global' })
    class Orders {
      @Get() @Cacheable() list(): string {
        return 'list';
      }
      @Post() @Cacheable() add(): string {
        return 'add';
      }
    }
    const app = await startApp('express', { controllers: [Orders] });
    expect((await app.send('POST', '/orders')).cache).toContain('fwd=method');
    await app.close();
  });
});
