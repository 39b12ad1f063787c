import type { LoadReport } from '../../core/cache-reader.js';
import type { CacheError } from '../../core/errors.js';

const CACHE_NAME = 'nestjs-scoped-cache';
/** A power of two. */
const TEXTS_MAX = 256;

/** A member of the header's list. */
export function memberOf(what: string): string {
  return `${CACHE_NAME}; ${what}`;
}

/**
 * The members that plain hits announce. A text that has just been put together is put in one piece when it is looked
 * through, and that took a third of the time of a hit; so each is kept for the next hit with as many seconds left.
 */
export class HitMembers {
  readonly #texts: { readonly seconds: number; readonly text: string }[] = [];

  /** @param leftMs until it is stale */
  of(leftMs: number): string {
    if (leftMs === Infinity) return FOR_EVER;
    const seconds = Math.floor(leftMs / 1000);
    const place = seconds & (TEXTS_MAX - 1);
    const known = this.#texts[place];
    if (known?.seconds === seconds) return known.text;
    const text = memberOf(hitStatus(leftMs));
    this.#texts[place] = { seconds, text };
    return text;
  }
}

/** What `Cache-Status` (RFC 9211) says of a call that went through the cache. `ttl` is negative for stale values. */
export function statusOf({ outcome, stored, expiresAt }: LoadReport<unknown>, now: number): string {
  if (outcome === 'loaded' || outcome === 'joined')
    return `fwd=miss${stored ? '; stored' : ''}${outcome === 'joined' ? '; collapsed' : ''}`;
  return `${hitStatus((expiresAt ?? Infinity) - now)}${outcome === 'stale' ? '; detail=stale' : ''}`;
}

/** `leftMs` is `Infinity` where no end is known, and negative for what is past it. */
function hitStatus(leftMs: number): string {
  return leftMs === Infinity ? 'hit' : `hit; ttl=${Math.floor(leftMs / 1000)}`;
}

/** An error of the cache as a word for `detail`. */
export function detailOf(error: CacheError & { level?: string }): string {
  return error.code === 'MISSING_SCOPE'
    ? `missing-${error.level}`
    : error.code.toLowerCase().replaceAll('_', '-');
}

const FOR_EVER = memberOf(hitStatus(Infinity));
