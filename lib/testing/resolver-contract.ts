import type { ScopeResolver } from '../core/scope.js';
import { assert, assertEqual } from './assertions.js';
import { clauseDeclarer, type ContractOptions } from './runner.js';

/** For {@link scopeResolverContract}. */
export interface ScopeResolverContractOptions extends ContractOptions {
  readonly resolve: ScopeResolver;
  /** Contexts as the application makes them, each with the id that must be found in it. */
  readonly found: readonly { readonly context: object; readonly id: string | number | bigint }[];
  /** Contexts without an id, such as that of an anonymous request. */
  readonly missing: readonly object[];
  /** Where the request is in a context. Default: its `request`. */
  requestOf?(context: object): object | undefined;
}

/** What a client can write as it likes. */
const FORGEABLE = ['headers', 'query', 'body', 'params', 'cookies', 'url', 'originalUrl'];

/** Declares the tests that a scope resolver should pass: P2 and P3. */
export function scopeResolverContract(options: ScopeResolverContractOptions): void {
  const clause = clauseDeclarer(options);
  const { resolve } = options;
  const requestOf = options.requestOf ?? ((context) => (context as { request?: object }).request);

  options.describe(`scope resolver contract: ${options.name}`, () => {
    clause('P2', 'it finds the id of an authenticated context, the same each time', () => {
      for (const { context, id } of options.found) {
        assertEqual(resolve(context), id, 'the id');
        assertEqual(resolve(context), id, 'the id, asked again');
      }
    });

    clause('P3', 'without an id it answers undefined or null, and does not throw', () => {
      for (const context of [...options.missing, {}]) {
        const id: unknown = resolve(context);
        assert(
          id === undefined || id === null,
          `Expected undefined or null for a context without an id, got ${String(id)}.`,
        );
      }
    });

    clause('P1', 'it never answers with the empty string or with something that is no id', () => {
      for (const { context } of options.found) {
        const id: unknown = resolve(context);
        const isId = ['string', 'number', 'bigint'].includes(typeof id) && id !== '';
        assert(isId, `Expected a string, a number or a bigint, got ${typeof id}.`);
      }
    });

    clause(
      'P2',
      'it reads nothing that a client can forge: headers, query, body, params, cookies',
      () => {
        const contexts = [...options.found.map(({ context }) => context), ...options.missing];
        for (const context of contexts) {
          const request = requestOf(context);
          if (!request) continue;
          const read = new Set<string>();
          const watched = new Proxy(request, {
            get(target, name) {
              if (typeof name === 'string' && FORGEABLE.includes(name)) read.add(name);
              return Reflect.get(target, name, target) as unknown;
            },
          });
          const swapped = Object.create(context) as object;
          for (const [name, value] of Object.entries(context))
            Object.defineProperty(swapped, name, { value: value === request ? watched : value });
          resolve(swapped);
          assertEqual([...read], [], 'what it read of the request');
        }
      },
    );
  });
}
