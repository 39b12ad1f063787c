import type { ModuleRef } from '@nestjs/core';
import { encodeKey, type CacheKey } from '../../core/cache-key.js';
import { InvalidKeyError, InvalidOptionsError } from '../../core/errors.js';
import type { CallContext, MethodCall } from './call-context.js';
import type { HandlerInputs } from './nest-metadata.js';
import type { MethodPlan, Planned, PlannedCacheable } from './method-plan.js';
import type { CacheableOptions, KeyGenerator, OperationOptions } from './operation-options.js';
import { atOnce } from './own-answers.js';

/**
 * The key of the entry that decorators keep under `name`: for reading or evicting it by hand.
 *
 * `parts` are what the `key` option returns (an array's items, or the one value), or by default the arguments of a provider
 * method. Type-tagged like every key: `decoratedKey('UserService.find', 1)` and `decoratedKey('UserService.find', '1')` differ.
 */
export function decoratedKey(name: string, ...parts: readonly unknown[]): CacheKey {
  return ['@', name, ...parts];
}

/** Finds out what tells one call of a decorated method from another. */
export class KeyMaker {
  constructor(readonly modules: ModuleRef) {}

  /** Without the headers that a response varies by. */
  base(
    name: string,
    call: MethodCall,
    plan: MethodPlan,
    planned: Planned<OperationOptions>,
  ): CacheKey {
    return decoratedKey(name, ...this.#parts(call, plan, planned));
  }

  /** {@link full} for a handler, encoded. */
  encoded(call: MethodCall, plan: MethodPlan, planned: PlannedCacheable): string {
    const { bareKey } = planned;
    return bareKey !== undefined && isEmpty(call.params) && hasNoQuery(call)
      ? bareKey
      : encodeKey(this.full(call, plan, planned));
  }

  /** What the entry is stored under. */
  full(call: MethodCall, plan: MethodPlan, planned: PlannedCacheable): CacheKey {
    const base = this.base(planned.name, call, plan, planned);
    if (planned.vary.length === 0) return base;
    const { headers } = call;
    return [...base, 'vary', ...planned.vary.map((name) => [name, headers[name] ?? null])];
  }

  /** @throws InvalidOptionsError when an operation's key generator cannot be had */
  checkGenerators({ label, cacheables, puts, evicts }: MethodPlan): void {
    for (const { options } of [...cacheables, ...puts, ...evicts]) {
      if (options.keyGenerator === undefined) continue;
      try {
        this.#generator(options.keyGenerator);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        throw new InvalidOptionsError(
          `${label}: its key generator cannot be had: ${why} Register it as a provider, in the default injection scope.`,
          { cause: error },
        );
      }
    }
  }

  #parts(
    call: MethodCall,
    plan: MethodPlan,
    { options }: Planned<OperationOptions>,
  ): readonly unknown[] {
    const { key, keyGenerator } = options;
    if (typeof key === 'function') return partsOf(key(call as CallContext), plan.label);
    if (keyGenerator !== undefined)
      return partsOf(this.#generator(keyGenerator).generate(call as CallContext), plan.label);
    const marked = plan.method.keyParameters;
    if (marked.length > 0) return marked.map((index) => call.args[index]);
    return defaultParts(call, plan, (options as CacheableOptions).query);
  }

  #generator(token: NonNullable<OperationOptions['keyGenerator']>): KeyGenerator {
    return this.modules.get<KeyGenerator>(token, { strict: false });
  }
}

/** The tag that all variants of a key carry, so that evicting the key finds them. */
export function variantsTag(base: CacheKey): string {
  return `@key:${encodeKey(base)}`;
}

function partsOf(answer: unknown, label: string): readonly unknown[] {
  const key = atOnce(answer, 'key');
  if (key === undefined)
    throw new InvalidKeyError(
      `The key of ${label} came out undefined, so calls could not be told apart.`,
    );
  return Array.isArray(key) ? key : [key];
}

function defaultParts(
  call: MethodCall,
  plan: MethodPlan,
  queryNames: readonly string[] | undefined,
): readonly unknown[] {
  switch (call.executionContext?.getType<string>()) {
    case undefined:
      return call.args;
    case 'http':
      return httpParts(call, plan, queryNames);
    case 'graphql':
      return graphParts(call);
    default:
      return [call.data];
  }
}

/** The route as decorated, never the URL as sent: prefixes, hosts and encodings of a client must not make new entries. */
function httpParts(
  call: MethodCall,
  plan: MethodPlan,
  queryNames: readonly string[] | undefined,
): unknown[] {
  const { query } = call;
  const picked = queryNames
    ? Object.fromEntries(
        queryNames.filter((name) => name in query).map((name) => [name, query[name]]),
      )
    : query;
  const parts: unknown[] = [plan.route, call.params, picked];
  if (plan.inputs.takesBody && !isUnsafe(call)) parts.push('body', call.body);
  if (plan.inputs.takesHost) parts.push('hosts', (call.request as { hosts?: unknown }).hosts);
  return parts;
}

/** The key of a route when neither its path nor its query says anything; `undefined` where more than those are in the key. */
export function bareRouteKey(
  name: string,
  route: string,
  inputs: HandlerInputs,
): string | undefined {
  return inputs.takesBody || inputs.takesHost
    ? undefined
    : encodeKey(decoratedKey(name, route, {}, {}));
}

/** Express parses the query anew each time it is asked for; without a `?` there is none, unless somebody put one there. */
function hasNoQuery(call: MethodCall): boolean {
  const request = call.request as { url?: unknown } | undefined;
  const isParsedFromUrl = typeof request?.url === 'string' && !Object.hasOwn(request, 'query');
  return isParsedFromUrl ? !(request.url as string).includes('?') : isEmpty(call.query);
}

function isEmpty(bag: Record<string, unknown>): boolean {
  for (const name in bag) if (Object.hasOwn(bag, name)) return false;
  return true;
}

/** A field of an object belongs to that object; a field of Query or Mutation has no parent worth telling apart. */
function graphParts(call: MethodCall): unknown[] {
  const parent = call.executionContext!.getArgByIndex<unknown>(0);
  const info = call.executionContext!.getArgByIndex<
    { parentType?: { name?: string }; fieldName?: string } | undefined
  >(3);
  const parts: unknown[] = [plainCopy(call.data)];
  if (parent !== null && typeof parent === 'object' && !isRoot(info))
    parts.push(info?.parentType?.name, plainCopy(parent));
  return parts;
}

function isRoot(
  info: { parentType?: { name?: string }; operation?: unknown } | undefined,
): boolean {
  return ['Query', 'Mutation', 'Subscription'].includes(info?.parentType?.name ?? '');
}

function plainCopy(value: unknown): unknown {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? { ...value }
    : value;
}

/** Whether the call may change something, by its protocol's own rules: not GET or HEAD, or a GraphQL mutation. */
export function isUnsafe(call: MethodCall): boolean {
  const { executionContext } = call;
  switch (executionContext?.getType<string>()) {
    case 'http':
      return !['GET', 'HEAD'].includes((call.request as { method?: string }).method ?? '');
    case 'graphql':
      return (
        executionContext.getArgByIndex<{ operation?: { operation?: string } } | undefined>(3)
          ?.operation?.operation === 'mutation'
      );
    default:
      return false;
  }
}
