import { Controller, Get, Headers, Injectable, Put, type Type } from '@nestjs/common';
import { Cacheable, CacheEvict } from 'nestjs-scoped-cache';
import { startApp, type RunningApp } from '../support/nest/start-app.js';

/** Another library's decorator that puts a function of its own around a method, as those for traces and transactions do. */
function Traced(): MethodDecorator {
  return (_prototype, _name, descriptor: PropertyDescriptor) => {
    const inner = descriptor.value as (...args: unknown[]) => unknown;
    const outer = function (this: unknown, ...args: unknown[]): unknown {
      return Reflect.apply(inner, this, args);
    };
    for (const key of Reflect.getMetadataKeys(inner) as string[])
      Reflect.defineMetadata(key, Reflect.getMetadata(key, inner), outer);
    descriptor.value = outer;
  };
}

let runs = 0;
const page = { name: 'page', key: () => 'page', scope: 'global' } as const;

@Controller('traced')
class TracedPage {
  @Traced()
  @Get()
  @Cacheable({ ...page, vary: ['accept-language'] })
  show(@Headers('accept-language') language: string): string {
    return `${language} ${++runs}`;
  }
  @Put() @CacheEvict(page) change(): void {}
}

@Controller('base')
class BasePage {
  @Get()
  @Cacheable({ ...page, vary: ['accept-language'] })
  show(@Headers('accept-language') language: string): string | Promise<string> {
    return `${language} ${++runs}`;
  }
  @Put() @CacheEvict(page) change(): void {}
}

@Controller('derived')
class DerivedPage extends BasePage {
  @Get()
  override async show(@Headers('accept-language') language: string): Promise<string> {
    return `derived ${await super.show(language)}`;
  }
}

describe.each<[string, string, Type]>([
  ['that another decorator has wrapped', '/traced', TracedPage],
  ['that a subclass overrides and calls', '/derived', DerivedPage],
])('a cached method %s', (_, path, controller) => {
  let app: RunningApp;
  beforeAll(async () => {
    app = await startApp('express', { controllers: [controller] });
  });
  afterAll(() => app.close());
  const show = async () =>
    (await app.get(path, undefined, { headers: { 'accept-language': 'de' } })).body as string;

  it('P5 all its variants by header are gone once its key is evicted', async () => {
    const before = await show();
    expect(before).toContain('de');
    expect(await show()).toBe(before);
    await app.send('PUT', path);
    expect(await show()).not.toBe(before);
  });
});

it('mistakes in the decorators of a method that another decorator has wrapped are errors at start-up', async () => {
  @Injectable()
  class Misspelt {
    @Traced()
    @Cacheable({ scope: 'usr' })
    read(): number {
      return 1;
    }
  }
  const start = async () => (await startApp('express', { providers: [Misspelt] })).close();
  await expect(start()).rejects.toThrow(/Unknown scope level "usr"/);
});
