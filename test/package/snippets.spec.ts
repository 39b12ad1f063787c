/**
 * Compiles every `ts` block of README.md and docs/, and runs some of them: a snippet that no longer works fails here, with the
 * line of the document. A block is a module of its own; what it does not import comes from `CONTEXT`. A block whose
 * first line is a comment with a file name is saved under that name, so that others of the same document may import it.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { INestApplication, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { memoryStorage, type BasicStorage, type EvictionRule } from 'nestjs-scoped-cache';
import {
  createTestCache,
  evictionRuleContract,
  storageContract,
} from 'nestjs-scoped-cache/testing';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Inside the repository, so that packages are found; .cache is ignored by git and by the other tools. */
const folder = join(root, '.cache/snippets');

/** What snippets may use without importing it. */
const CONTEXT = `
import type * as common from '@nestjs/common';
import type * as ours from 'nestjs-scoped-cache';
declare global {
  const cache: ours.CacheService;
  const database: {
    find(id: string, signal?: AbortSignal): Promise<{ id: string; name: string }>;
    findMany(ids: readonly string[]): Promise<{ id: string; name: string }[]>;
    findUser(id: string): Promise<User | undefined>;
    report(): Promise<string>;
  };
  class User { id: string; name: string; }
  const Controller: typeof common.Controller;
  const Get: typeof common.Get;
  const Post: typeof common.Post;
  const Patch: typeof common.Patch;
  const Body: typeof common.Body;
  const Param: typeof common.Param;
  const Injectable: typeof common.Injectable;
  const Module: typeof common.Module;
  const Cacheable: typeof ours.Cacheable;
  const CacheEvict: typeof ours.CacheEvict;
  const CachePut: typeof ours.CachePut;
  const Caching: typeof ours.Caching;
  const CacheConfig: typeof ours.CacheConfig;
  const CacheKey: typeof ours.CacheKey;
  const CacheModule: typeof ours.CacheModule;
  const memoryStorage: typeof ours.memoryStorage;
}
export {};
`;

interface Snippet {
  readonly document: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  readonly code: string;
  readonly path: string;
}

function documents(): string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' });
  return [
    'README.md',
    ...docs.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`),
  ];
}

function snippetsOf(document: string): Snippet[] {
  const text = readFileSync(join(root, document), 'utf8');
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((found) => {
    const code = found[1]!;
    const line = text.slice(0, found.index).split('\n').length;
    const name = /^\/\/ ([\w.-]+\.ts)\n/.exec(code)?.[1] ?? `line-${line}.ts`;
    return { document, line, code, path: join(folder, document.replace(/\.md$/, ''), name) };
  });
}

function save(snippets: readonly Snippet[]): void {
  rmSync(folder, { recursive: true, force: true });
  for (const { path, code } of snippets) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, /^(?:import|export) /m.test(code) ? code : `${code}export {};\n`);
  }
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { strictPropertyInitialization: false, noUnusedLocals: false },
    include: [folder],
    exclude: [],
  };
  writeFileSync(join(folder, 'context.d.ts'), CONTEXT);
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
}

/** What the compiler says, with the lines of the documents. */
function compile(snippets: readonly Snippet[]): string[] {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  try {
    execFileSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { cwd: root });
    return [];
  } catch (error) {
    const output = String((error as { stdout?: unknown }).stdout);
    return output
      .split('\n')
      .filter(Boolean)
      .map((message) => located(message, snippets));
  }
}

function located(message: string, snippets: readonly Snippet[]): string {
  const [, path, line, rest] = /^(\S+?)\((\d+),\d+\): (.*)$/.exec(message) ?? [];
  const snippet = snippets.find((one) => path !== undefined && join(root, path) === one.path);
  return snippet ? `${snippet.document}:${snippet.line + Number(line)}: ${rest}` : message;
}

const snippets = documents().flatMap(snippetsOf);
save(snippets);
const load = (path: string): Promise<Record<string, unknown>> => import(join(folder, path));

describe('the snippets of the documents', () => {
  it('are found', () => {
    expect(snippets.length).toBeGreaterThan(20);
    expect(snippets.map(({ document }) => document)).toContain('README.md');
  });

  it('compile', () => expect(compile(snippets)).toEqual([]), 120_000);
});

describe('the quick start of the README', () => {
  let app: INestApplication;
  let url: string;

  beforeAll(async () => {
    const { AppModule } = (await load('README/app.module.ts')) as { AppModule: Type };
    app = await NestFactory.create(AppModule, new ExpressAdapter(), { logger: false });
    // Stands for the application's own guard.
    app.use(
      (
        request: { headers: Record<string, string>; user?: object },
        _: unknown,
        next: () => void,
      ) => {
        const [orgId, id] = (request.headers['x-test-user'] ?? '').split('/');
        if (id !== undefined) request.user = { orgId, id };
        next();
      },
    );
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  });

  afterAll(() => app.close());

  const ask = async (user: string): Promise<{ status: string; body: unknown }> => {
    const answer = await fetch(`${url}/profile`, { headers: { 'x-test-user': user } });
    return { status: answer.headers.get('cache-status')!, body: await answer.json() };
  };

  it('serves each user from the cache, and nobody anything of another one', async () => {
    expect((await ask('acme/1')).status).toContain('fwd=miss; stored');
    const again = await ask('acme/1');
    expect(again.status).toContain('hit');
    const other = await ask('globex/1');
    expect(other.status).toContain('fwd=miss; stored');
    expect(other.body).not.toEqual(again.body);
  });

  it('evicts what a write changes', async () => {
    await ask('acme/2');
    await fetch(`${url}/profile`, { method: 'PATCH', headers: { 'x-test-user': 'acme/2' } });
    expect((await ask('acme/2')).status).toContain('fwd=miss; stored');
    expect((await ask('acme/1')).status).toContain('hit');
  });
});

describe('the custom storage of docs/storages.md', () => {
  it('takes less than 40 lines', () => {
    const { code } = snippets.find(({ path }) =>
      path.endsWith('docs/storages/sqlite-like-storage.ts'),
    )!;
    expect(code.trimEnd().split('\n').length).toBeLessThan(40);
  });
});

const { tableStorage } = (await load('docs/storages/sqlite-like-storage.ts')) as {
  tableStorage: () => BasicStorage;
};
storageContract({
  name: 'docs/storages.md',
  makeStorage: () => tableStorage(),
  cannot: ['idle', 'grace'],
  describe,
  it,
});

const { oldestFirst } = (await load('docs/eviction/oldest-first.ts')) as {
  oldestFirst: (max: number) => EvictionRule;
};
evictionRuleContract({
  name: 'docs/eviction.md',
  makeRule: () => oldestFirst(10),
  keepsAtMost: 10,
  describe,
  it,
});

describe('the custom rule of docs/eviction.md', () => {
  it('lets the entry leave that was stored first, however often it is read', async () => {
    const cache = createTestCache({ storage: memoryStorage(), rules: [oldestFirst(2)] });
    for (const key of ['a', 'b']) await cache.set(key, key);
    await cache.get('a');
    await cache.set('c', 'c');
    expect(await cache.getMany(['a', 'b', 'c'])).toEqual([undefined, 'b', 'c']);
    await cache.close();
  });
});
