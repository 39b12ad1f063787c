import { Controller, Get, Param, Query } from '@nestjs/common';
import { Cacheable, memoryStorage } from 'nestjs-scoped-cache';
import type { OpenStorage, StorageDriver } from 'nestjs-scoped-cache';
import { ADAPTERS, startApp } from '../support/nest/start-app.js';

/** The memory storage, counting how often it is read. */
class CountedMemory implements StorageDriver {
  reads = 0;
  readonly #memory = memoryStorage();
  readonly name = this.#memory.name;

  open(...host: Parameters<StorageDriver['open']>): OpenStorage {
    const store = this.#memory.open(...host);
    const read = store.read.bind(store);
    store.read = (at, options) => {
      this.reads++;
      return read(at, options);
    };
    return store;
  }
}

@Controller('prompt')
class PromptController {
  @Get() @Cacheable({ scope: 'global' }) bare(): string {
    return 'bare';
  }
  @Get('items/:id') @Cacheable({ scope: 'global' }) item(@Param('id') id: string): string {
    return `item ${id}`;
  }
  @Get('search') @Cacheable({ scope: 'global' }) search(@Query('text') text: string): string {
    return `found ${text}`;
  }
  @Get('keyed') @Cacheable({ scope: 'global', key: 'own' }) keyed(): string {
    return 'keyed';
  }
}

describe.each(ADAPTERS)('Hits of handlers on memory, on %s', (adapter) => {
  const storage = new CountedMemory();
  let app: Awaited<ReturnType<typeof startApp>>;
  beforeAll(async () => {
    app = await startApp(adapter, {
      cache: { storage },
      controllers: [PromptController],
    });
  });
  afterAll(() => app.close());

  it.each([
    ['of a route without parameters', '/prompt'],
    ['of a route with a path parameter', '/prompt/items/1'],
    ['of a route with a query', '/prompt/search?text=a'],
    ['of a route with a key of its own', '/prompt/keyed'],
  ])('P4 a hit %s reads the storage once: both ways of looking use one key', async (_, path) => {
    const first = await app.get(path);
    const before = storage.reads;
    const second = await app.get(path);
    expect([second.body, second.cache]).toEqual([first.body, expect.stringContaining('; hit; ')]);
    expect(storage.reads - before).toBe(1);
  });

  it('P4 a query on a route without parameters has an entry of its own', async () => {
    await app.get('/prompt');
    const other = await app.get('/prompt?page=2');
    expect(other.cache).toContain('fwd=miss');
  });
});
