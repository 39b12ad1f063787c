import { Controller, Get, Inject, Injectable, Scope, type Type } from '@nestjs/common';
import { ContextIdFactory, REQUEST } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import { Cacheable, CacheModule } from 'nestjs-scoped-cache';
import { spyOnWarnings } from '../support/nest/warnings.js';

/** Durable providers, which Nest makes once for each tenant: docs/decisions/0072. */

@Injectable({ scope: Scope.REQUEST, durable: true })
class OfTenant {
  constructor(@Inject(REQUEST) readonly payload: { readonly tenant: string }) {}

  @Cacheable() omitted(): string {
    return this.payload.tenant;
  }
  @Cacheable({ scope: 'global' }) shared(): string {
    return this.payload.tenant;
  }
  @Cacheable({ scope: ({ target }) => ({ org: (target as OfTenant).payload.tenant }) })
  scoped(): string {
    return this.payload.tenant;
  }
}

@Injectable()
class GivenOne {
  constructor(readonly given: OfTenant) {}
  @Cacheable() omitted(): string {
    return this.given.payload.tenant;
  }
}

@Controller('given')
class ControllerGivenOne extends GivenOne {
  @Get() override omitted(): string {
    return super.omitted();
  }
}

describe('P3 an omitted scope where Nest makes an instance for each tenant', () => {
  const warnings = spyOnWarnings();
  let module: TestingModule;

  beforeEach(async () => {
    warnings.clear();
    module = await Test.createTestingModule({
      imports: [CacheModule.forRoot()],
      providers: [OfTenant, GivenOne],
      controllers: [ControllerGivenOne],
    }).compile();
    await module.init();
  });
  afterEach(() => module.close());

  const ofTenant = <T>(type: Type<T>, tenant: string): Promise<T> => {
    const id = ContextIdFactory.create();
    module.registerRequestByContextId({ tenant }, id);
    return module.resolve(type, id);
  };

  it.each<[string, Type<{ omitted(): string }>]>([
    ['a provider', OfTenant],
    ['one that is given such a provider', GivenOne],
    ['a controller that is', ControllerGivenOne],
  ])('%s runs uncached, also for anonymous requests, and one warning says why', async (_, type) => {
    for (const tenant of ['a', 'b', 'a'])
      expect(await (await ofTenant(type, tenant)).omitted()).toBe(tenant);
    expect(warnings.texts).toEqual([expect.stringMatching(/for each tenant \(it is durable/)]);
  });

  it('a scope that is written counts', async () => {
    const [a, b] = [await ofTenant(OfTenant, 'a'), await ofTenant(OfTenant, 'b')];
    expect([await a.shared(), await b.shared()]).toEqual(['a', 'a']);
    expect([await a.scoped(), await b.scoped()]).toEqual(['a', 'b']);
  });
});
