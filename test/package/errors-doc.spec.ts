import { readFileSync } from 'node:fs';

const read = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The words of a union type, as they are written. */
function codesInSource(): string[] {
  const union = /export type CacheErrorCode =([^;]+);/.exec(read('lib/core/errors.ts'))![1]!;
  return [...union.matchAll(/'([A-Z_]+)'/g)].map(([, code]) => code!);
}

describe('docs/errors.md', () => {
  const text = read('docs/errors.md');

  it('has a section for every error code, and none for a code that does not exist', () => {
    const sections = [...text.matchAll(/^## ([A-Z_]+)$/gm)].map(([, code]) => code!);
    expect([...sections].sort()).toEqual([...codesInSource()].sort());
  });

  it('names every error class beside its code', () => {
    const source = read('lib/core/errors.ts');
    const classes = source.matchAll(
      /export class (\w+) extends CacheError \{[\s\S]*?super\(\s*'([A-Z_]+)'/g,
    );
    let count = 0;
    for (const [, name, code] of classes) {
      count++;
      const section = text.split(/^## /m).find((one) => one.startsWith(`${code}\n`));
      expect([code, section?.includes(`\`${name}\``)]).toEqual([code, true]);
    }
    expect(count).toBe(codesInSource().length);
  });
});
