import type { LoadReport } from '../../core/cache-reader.js';
import type { CacheError } from '../../core/errors.js';

/** What `Cache-Status` (RFC 9211) says of a call that went through the cache. `ttl` is negative for stale values. */
export function statusOf({ outcome, stored, expiresAt }: LoadReport<unknown>, now: number): string {
  if (outcome === 'loaded' || outcome === 'joined')
    return `fwd=miss${stored ? '; stored' : ''}${outcome === 'joined' ? '; collapsed' : ''}`;
  return `${hitStatus((expiresAt ?? Infinity) - now)}${outcome === 'stale' ? '; detail=stale' : ''}`;
}

/** `leftMs` is `Infinity` where no end is known, and negative for what is past it. */
export function hitStatus(leftMs: number): string {
  return leftMs === Infinity ? 'hit' : `hit; ttl=${Math.floor(leftMs / 1000)}`;
}

/** An error of the cache as a word for `detail`. */
export function detailOf(error: CacheError & { level?: string }): string {
  return error.code === 'MISSING_SCOPE'
    ? `missing-${error.level}`
    : error.code.toLowerCase().replaceAll('_', '-');
}
