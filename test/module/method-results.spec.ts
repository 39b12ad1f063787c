import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  Cacheable,
  CacheEvict,
  CacheModule,
  CachePut,
  CacheService,
  CACHE_PLATFORM,
  decoratedKey,
  memoryStorage,
} from 'nestjs-scoped-cache';
import { mapStorage } from 'nestjs-scoped-cache/testing';
import {
  concat,
  EMPTY,
  firstValueFrom,
  lastValueFrom,
  NEVER,
  Observable,
  of,
  throwError,
  toArray,
} from 'rxjs';
import { manualPlatform } from '../support/nest/manual-platform.js';

class Account {
  constructor(
    readonly name: string,
    readonly opened: Date,
  ) {}
  get label(): string {
    return `${this.name}, ${this.opened.getUTCFullYear()}`;
  }
}

@Injectable()
class Service {
  runs = 0;
  source: Observable<number> = of(1, 2, 3);

  @Cacheable({ name: 'stream', key: 'k', hardTimeout: '1s' })
  stream(): Observable<number> {
    this.runs++;
    return this.source;
  }
  @CachePut({ name: 'stream', key: 'k' })
  put(): Observable<number> {
    return this.source;
  }
  @CacheEvict({ name: 'stream', key: 'k' })
  evict(): Observable<number> {
    return this.source;
  }

  @Cacheable({ type: () => Account })
  async account(name: string): Promise<Account> {
    this.runs++;
    return new Account(name, new Date(0));
  }
  @Cacheable({ type: () => Account })
  async accounts(): Promise<Map<string, Account[]>> {
    this.runs++;
    return new Map([['all', [new Account('a', new Date(0))]]]);
  }
}

describe.each([
  ['memory', () => memoryStorage()],
  ['bytes', () => mapStorage()],
])('results of methods, on %s', (_, makeStorage) => {
  let app: INestApplicationContext;
  let service: Service;
  let cache: CacheService;
  const platform = manualPlatform();
  const kept = () => cache.get(decoratedKey('stream', 'k'));

  beforeEach(async () => {
    const module = await Test.createTestingModule({
      imports: [CacheModule.forRoot({ storage: makeStorage() })],
      providers: [Service],
    })
      .overrideProvider(CACHE_PLATFORM)
      .useValue(platform)
      .compile();
    app = await module.init();
    service = app.get(Service);
    cache = app.get(CacheService);
  });
  afterEach(() => app.close());

  it('of an Observable the last value counts, on a miss as on a hit, and it runs when subscribed to', async () => {
    const stream = service.stream();
    expect(service.runs).toBe(0);
    expect(await firstValueFrom(stream.pipe(toArray()))).toEqual([3]);
    expect(await firstValueFrom(service.stream().pipe(toArray()))).toEqual([3]);
    expect([service.runs, await kept()]).toEqual([1, 3]);
  });

  it('an Observable that fails, even after values, fails its caller and keeps nothing', async () => {
    service.source = concat(
      of(1),
      throwError(() => new RangeError('source')),
    );
    for (let round = 0; round < 2; round++)
      await expect(lastValueFrom(service.stream())).rejects.toThrow(RangeError);
    expect([service.runs, await kept()]).toEqual([2, undefined]);
    await expect(lastValueFrom(service.put())).rejects.toThrow('source');
    expect(await kept()).toBeUndefined();
  });

  it('an Observable that completes without a value counts as undefined', async () => {
    service.source = EMPTY;
    for (let round = 0; round < 2; round++)
      expect(await lastValueFrom(service.stream())).toBeUndefined();
    expect(service.runs).toBe(1);
  });

  it('an Observable that never completes, which no start-up could see, is given up after hardTimeout', async () => {
    service.source = concat(of(1), NEVER);
    const caller = lastValueFrom(service.stream());
    caller.catch(() => undefined);
    await platform.clock.advanceAsync(1_000);
    await expect(caller).rejects.toMatchObject({ code: 'LOAD_TIMEOUT' });
    expect(cache.loadsUnderWay).toBe(0);
  });

  it('puts and evictions wait for the end of an Observable, and an eviction for its success', async () => {
    expect(await lastValueFrom(service.put())).toBe(3);
    expect(await kept()).toBe(3);
    service.source = throwError(() => new Error('no'));
    await expect(lastValueFrom(service.evict())).rejects.toThrow('no');
    expect(await kept()).toBe(3);
    service.source = of(0);
    await lastValueFrom(service.evict());
    expect(await kept()).toBeUndefined();
  });

  it('with type, instances come back as instances, also from within lists and Maps', async () => {
    for (let round = 0; round < 2; round++) {
      const account = await service.account('a');
      expect(account).toBeInstanceOf(Account);
      expect(account.label).toBe('a, 1970');
      const [inMap] = (await service.accounts()).get('all')!;
      expect(inMap).toBeInstanceOf(Account);
      expect(inMap!.opened).toEqual(new Date(0));
    }
    expect(service.runs).toBe(2);
  });
});
