import type { HttpServer } from '@nestjs/common';

import { memberOf } from './cache-status.js';

/** What a hit replays beside the body: what the handler itself changed. */
export interface Replay {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | number | readonly string[]>>;
}

type HeaderValue = string | number | readonly string[];
type Headers = Readonly<Record<string, HeaderValue | undefined>>;

/** The response as it was before the handler ran. */
export interface ReplyBefore {
  readonly status: number;
  readonly headers: Headers;
}

interface NodeLikeResponse {
  readonly statusCode: number;
  getHeaders(): Headers;
  getHeader(name: string): HeaderValue | undefined;
  /** Node's responses, and Express's, which are Node's; Fastify's have others. */
  readonly headersSent?: boolean;
  setHeader?(name: string, value: string): void;
}

const FASTIFY_COOKIES = 'fastify.reply.setCookies';
/** Of one connection or one message, so never replayed. */
const NOT_REPLAYED = [
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'date',
  'trailer',
  'upgrade',
  'cache-status',
];

/** "No content", and the part of the content that one request asked for by a header that no key holds. */
const ONE_REQUESTS = [204, 206];

/** The HTTP response to one call of a handler, on Express and Fastify alike. */
export class HttpReply {
  constructor(
    readonly adapter: HttpServer,
    readonly response: unknown,
  ) {}

  /** For {@link changesSince}. */
  read(): ReplyBefore {
    const { statusCode, getHeaders } = this.response as NodeLikeResponse;
    return { status: statusCode, headers: { ...getHeaders.call(this.response) } };
  }

  /** What the handler set. */
  changesSince(before: ReplyBefore): Replay {
    const now = this.read();
    const changed = Object.entries(now.headers).filter(
      ([name, value]) =>
        value !== undefined &&
        !NOT_REPLAYED.includes(name.toLowerCase()) &&
        !sameValue(value, before.headers[name]),
    ) as [string, HeaderValue][];
    return {
      ...(now.status !== before.status && { status: now.status }),
      ...(changed.length > 0 && { headers: Object.fromEntries(changed) }),
    };
  }

  /**
   * Why this response must not be stored, as a word for `Cache-Status`; `undefined` when it may be.
   * @param isShared several users read the scope it would be stored in
   * @param vary the headers in its key
   */
  refusal(before: ReplyBefore, isShared: boolean, vary: readonly string[]): string | undefined {
    // The handler sent an answer of its own, with or without passthrough: what it returns is not what the client got.
    if (this.#isSent) return 'response-handled';
    const { status, headers } = this.read();
    if (status !== before.status && (status < 200 || status > 299 || ONE_REQUESTS.includes(status)))
      return `status-${status}`;
    if (status >= 400) return `status-${status}`;
    if (headers['set-cookie'] !== undefined || this.#hasCookiesToCome) return 'set-cookie';
    const directives = words(headers['cache-control']);
    if (directives.includes('no-store') || directives.includes('no-cache')) return 'no-store';
    if (isShared && directives.includes('private')) return 'private';
    const known = [...vary, ...words(before.headers['vary'])];
    const varies = words(headers['vary']).filter((name) => name === '*' || !known.includes(name));
    return varies.length > 0 ? 'vary' : undefined;
  }

  /** Makes this response what the stored one was. */
  replay({ status, headers }: Replay): void {
    if (this.#isSent) return;
    if (status !== undefined) this.adapter.status!(this.response, status);
    for (const [name, value] of Object.entries(headers ?? {}))
      this.adapter.setHeader!(this.response, name, value as string);
  }

  /** Says in `Cache-Status` (RFC 9211) what this cache did. */
  announce(what: string): void {
    this.announceMember(memberOf(what));
  }

  /** Adds a member to the list in `Cache-Status`, behind those of others. */
  announceMember(own: string): void {
    const response = this.response as NodeLikeResponse;
    // Node's own methods where the response has them (Express): the adapter's take a detour, on every hit.
    const isNative = typeof response.setHeader === 'function';
    if (isNative ? response.headersSent : this.#isSent) return;
    const others = response.getHeader('cache-status');
    const all = others === undefined ? own : `${String(others)}, ${own}`;
    if (isNative) response.setHeader!('Cache-Status', all);
    // In the form in which Fastify keeps names: another one would be made into it anew, for every hit.
    else this.adapter.setHeader!(this.response, 'cache-status', all);
  }

  /** `@fastify/cookie` keeps what `setCookie` was given beside the reply, and makes headers of it when the answer is sent. */
  get #hasCookiesToCome(): boolean {
    const response = this.response as Record<symbol, { readonly size?: number } | null | undefined>;
    return Object.getOwnPropertySymbols(response).some(
      (symbol) => symbol.description === FASTIFY_COOKIES && (response[symbol]?.size ?? 0) > 0,
    );
  }

  get #isSent(): boolean {
    return this.adapter.isHeadersSent?.(this.response) === true;
  }
}

function words(value: HeaderValue | undefined): string[] {
  if (value === undefined) return [];
  return String(value)
    .split(',')
    .map((word) =>
      word
        .trim()
        .toLowerCase()
        .replace(/\s*=.*$/, ''),
    )
    .filter((word) => word !== '');
}

function sameValue(one: HeaderValue, other: HeaderValue | undefined): boolean {
  return other !== undefined && String(one) === String(other);
}
