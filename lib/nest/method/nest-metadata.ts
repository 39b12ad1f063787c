import 'reflect-metadata';

/**
 * What Nest's own decorators leave behind. The names are the same in Nest 11 and 12, whose exports of them moved; a wrong
 * one would make a test in test/module fail.
 */
const ROUTE_ARGS = '__routeArguments__';
const CUSTOM_ROUTE_ARGS = '__customRouteArgs__';
const RESPONSE_PASSTHROUGH = '__responsePassthrough__';
const RESOLVER_TYPE = 'graphql:resolver_type';

/** The parameter kinds of HTTP handlers that matter here, by Nest's numbers. Other transports give the same ones other meanings. */
const KIND = {
  response: 1,
  next: 2,
  body: 3,
  headers: 6,
  session: 7,
  host: 10,
  ip: 11,
  rawBody: 12,
  cookies: 14,
  signedCookies: 15,
};

/** The verbs of routes, by Nest's numbers. */
const VERB = { get: 0, all: 5, head: 7 };

interface DeclaredParameter {
  readonly index: number;
  readonly data?: unknown;
}

/** What a handler takes from its request, as far as its parameter decorators say. */
export interface HandlerInputs {
  /** Names of headers taken one by one. */
  readonly headers: readonly string[];
  readonly takesBody: boolean;
  readonly takesHost: boolean;
  readonly takesSession: boolean;
  /** Inputs that no default key can cover, as they are written: `@Ip()`, `@Headers()`, … */
  readonly unkeyed: readonly string[];
  /** It answers by itself: `@Res()` or `@Next()` without passthrough. */
  readonly answersItself: boolean;
  /** It may set headers: `@Res({ passthrough: true })`. */
  readonly takesResponse: boolean;
  /** Indexes of parameters whose decorator the application made itself (`createParamDecorator`), ascending. */
  readonly custom: readonly number[];
}

/** The decorated parameters of `type`'s method, by Nest's key for each. */
export function declaredParameters(
  type: object,
  method: string | symbol,
): Record<string, DeclaredParameter> {
  return (Reflect.getMetadata(ROUTE_ARGS, type, method) ?? {}) as Record<string, DeclaredParameter>;
}

/**
 * See {@link HandlerInputs}. Our own hidden parameter does not count.
 * @param isHttp of handlers for other transports, only `custom` can be told
 */
export function inputsOf(
  type: object,
  method: string | symbol,
  hiddenIndex: number,
  isHttp: boolean,
): HandlerInputs {
  const declared = Object.entries(declaredParameters(type, method)).filter(
    ([, { index }]) => index !== hiddenIndex,
  );
  const native = declared
    .filter(([key]) => isHttp && !key.includes(CUSTOM_ROUTE_ARGS))
    .map(([key, { data }]) => ({ kind: Number(key.split(':')[0]), data }));
  const has = (kind: number): boolean => native.some((parameter) => parameter.kind === kind);
  const headers = native.filter(({ kind }) => kind === KIND.headers);
  const takesResponse = has(KIND.response) || has(KIND.next);
  const passthrough = Reflect.getMetadata(RESPONSE_PASSTHROUGH, type, method) === true;
  return {
    headers: headers.map(({ data }) => data).filter((name) => typeof name === 'string'),
    takesBody: has(KIND.body) || has(KIND.rawBody),
    takesHost: has(KIND.host),
    takesSession: has(KIND.session),
    unkeyed: [
      headers.some(({ data }) => typeof data !== 'string') ? '@Headers()' : '',
      has(KIND.ip) ? '@Ip()' : '',
      has(KIND.cookies) || has(KIND.signedCookies) ? '@Cookies()' : '',
    ].filter((text) => text !== ''),
    answersItself: takesResponse && !passthrough,
    takesResponse,
    custom: declared
      .filter(([key]) => key.includes(CUSTOM_ROUTE_ARGS))
      .map(([, { index }]) => index)
      .sort((one, other) => one - other),
  };
}

/** The route as `/orders/:id`, from the decorators of class and method; `undefined` for what is no HTTP handler. */
export function routeOf(type: object, handler: object): string | undefined {
  const own = pathOf(handler);
  if (own === undefined || !Reflect.hasMetadata('method', handler)) return undefined;
  return `/${[pathOf(type) ?? '', own].join('/').split('/').filter(Boolean).join('/')}`;
}

/** Whether the method answers HTTP requests, and no messages besides. */
export function isRouteOnly(type: object, method: unknown): boolean {
  return (
    typeof method === 'function' && routeOf(type, method) !== undefined && !isMessageHandler(method)
  );
}

/** Why the results of this handler never end, if so. */
export function endlessKind(handler: object): string | undefined {
  if (Reflect.hasMetadata('__sse__', handler)) return '@Sse()';
  return Reflect.getMetadata(RESOLVER_TYPE, handler) === 'Subscription'
    ? '@Subscription()'
    : undefined;
}

/** Whether a route answers requests that change nothing: GET, HEAD, or any verb. */
export function isReadRoute(handler: object): boolean {
  const verb: unknown = Reflect.getMetadata('method', handler);
  return verb === VERB.get || verb === VERB.all || verb === VERB.head;
}

function pathOf(holder: object): string | undefined {
  const path = Reflect.getMetadata('path', holder) as string | readonly string[] | undefined;
  return Array.isArray(path) ? path.join('|') : (path as string | undefined);
}

/** The parameters' count as compiled; `fallback` where no type metadata was emitted. */
export function parameterCount(
  prototype: object,
  method: string | symbol,
  fallback: number,
): number {
  const types = Reflect.getMetadata('design:paramtypes', prototype, method) as
    unknown[] | undefined;
  return types?.length ?? fallback;
}

/** The parameter's class as compiled, for messages: `Tenant`; `undefined` where it says nothing. */
export function parameterType(
  prototype: object,
  method: string | symbol,
  index: number,
): string | undefined {
  const types = Reflect.getMetadata('design:paramtypes', prototype, method) as
    { name?: string }[] | undefined;
  const name = types?.[index]?.name;
  return name === 'Object' ? undefined : name;
}

/** Whether the method is declared to return an Observable. By name: there may be several copies of rxjs. */
export function isDeclaredObservable(prototype: object, method: string | symbol): boolean {
  const type = Reflect.getMetadata('design:returntype', prototype, method) as
    { name?: string } | undefined;
  return type?.name === 'Observable';
}

/** Whether a class holds gateways or message handlers. */
export function receivesMessages(type: { prototype?: object }): boolean {
  if (Reflect.hasMetadata('websockets:is_gateway', type)) return true;
  return methodsOf(type.prototype).some(([, method]) => isMessageHandler(method));
}

/** Whether Nest calls this method for messages. */
function isMessageHandler(method: object): boolean {
  return Reflect.hasMetadata('microservices:pattern', method);
}

/** All methods of a prototype chain, the most derived of each name. */
function methodsOf(prototype: object | undefined | null): [string | symbol, object][] {
  const found = new Map<string | symbol, object>();
  for (const at of prototypesOf(prototype))
    for (const name of Reflect.ownKeys(at)) {
      const method: unknown = Object.getOwnPropertyDescriptor(at, name)?.value;
      if (typeof method === 'function' && name !== 'constructor' && !found.has(name))
        found.set(name, method);
    }
  return [...found];
}

/** A prototype and those it inherits from, the most derived first, without Object's. */
export function prototypesOf(prototype: object | undefined | null): object[] {
  const chain: object[] = [];
  for (
    let at = prototype;
    at && at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object | null
  )
    chain.push(at);
  return chain;
}
