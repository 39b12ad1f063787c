import { readFileSync } from 'node:fs';

const read = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

describe('docs/traps.md', () => {
  const rows = [
    ...read('docs/traps.md').matchAll(/^\| (.+?) +\| (.+?) +\| ((?:test|lib)\/\S+) +\|$/gm),
  ];

  it('is a table of traps, tests and files', () => {
    expect(rows.length).toBeGreaterThanOrEqual(35);
  });

  it.each(rows.map(([, trap, title, file]) => [trap!, title!, file!]))(
    '%s: its test exists',
    (_, title, file) => expect(read(file)).toContain(title),
  );
});
