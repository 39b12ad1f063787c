import { describe, expect, it } from '@jest/globals';
import {
  lru,
  maxItems,
  timeToLive,
  type BusConnection,
  type BusHandlers,
  type CacheBus,
  type InheritedLookup,
  type LoadReport,
  type LruOptions,
  type MaxItemsOptions,
  type ScopeContext,
  type TieredStorageOptions,
  type TimeToLiveOptions,
} from 'nestjs-scoped-cache';
import { createTestCache } from 'nestjs-scoped-cache/testing';

/** What these claim is checked by `npm run typecheck`; here they run as well. */
describe('types', () => {
  it('a view gives inherited values and reports the type that was asked for', async () => {
    const cache = createTestCache();
    const view = cache.in({ org: 'o' });
    await cache.set('theme', 'light');
    const found: InheritedLookup<string> = await view.getInherited<string>('theme');
    const theme: string | undefined = found.hit ? found.value : undefined;
    expect(theme).toBe('light');
    expect(found.hit && found.scope).toBe('global');
    const report: LoadReport<number> = await view.getOrSetDetailed('n', () => 1);
    expect(report).toMatchObject({ value: 1, outcome: 'loaded', stored: true });
    expect(await view.get<number>('n')).toBe(1);
    expect(await cache.get('n')).toBeUndefined();
  });

  it('everything that an option can be has a name to import', async () => {
    const connection: BusConnection = {
      publish: async () => undefined,
      close: async () => undefined,
    };
    const heard: BusHandlers[] = [];
    const bus: CacheBus = {
      open(_channel, handlers) {
        heard.push(handlers);
        return connection;
      },
    };
    const tiers: Pick<TieredStorageOptions, 'bus'> = { bus };
    const least: LruOptions & MaxItemsOptions = { max: 1 };
    const life: TimeToLiveOptions = { max: '1d' };
    const context: ScopeContext = {
      idOf: ({ name }) => `${name}-1`,
      lookedAt: () => 'nowhere',
      run: (_ids, work) => work(),
    };
    expect([lru(least), maxItems(least), timeToLive(life)]).toHaveLength(3);
    expect(tiers.bus).toBe(bus);
    const cache = createTestCache({}, { context });
    await cache.set('k', 1, { scope: 'org' });
    expect(await cache.get('k', { scope: { org: 'org-1' } })).toBe(1);
  });
});
