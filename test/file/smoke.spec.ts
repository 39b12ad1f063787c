import { at, entry, Folder, scope } from '../support/file/store.js';
describe('smoke', () => {
  it('works', async () => {
    const f = new Folder();
    const s = f.store();
    await s.write(at('a'), entry({ x: 1 }));
    expect((await s.read(at('a')))?.value).toEqual({ x: 1 });
    await s.write(at('a', { org: 'o1', user: 'u' }), entry(2));
    expect(await s.count(scope())).toBe(2);
    expect(await s.evictScope(scope({ org: 'o1' }))).toBe(1);
    expect(await s.increment(at('n'), 2, 1000)).toBe(2);
    expect(await s.increment(at('n'), 2, 1000)).toBe(4);
    expect(await s.remove(at('a'))).toBe(true);
    const l = await s.leases.acquire(at('l'), 1000);
    expect(l.kind).toBe('leased');
    expect((await s.leases.acquire(at('l'), 1000)).kind).toBe('busy');
    if (l.kind === 'leased') expect(await s.leases.store(l.lease, entry(9))).toBe(true);
    expect((await s.read(at('l')))?.value).toBe(9);
    await f.remove();
  });
});
