import type { LoadReport } from '../../core/cache.js';
import type { CacheError } from '../../core/errors.js';

/** What `Cache-Status` (RFC 9211) says of a call that went through the cache. `ttl` is negative for stale values. */
export function statusOf({ outcome, stored, expiresAt }: LoadReport<unknown>, now: number): string {
  if (outcome === 'loaded' || outcome === 'joined')
    return `fwd=miss${stored ? '; stored' : ''}${outcome === 'joined' ? '; collapsed' : ''}`;
  const isFinite = expiresAt !== undefined && expiresAt !== Infinity;
  const ttl = isFinite ? `; ttl=${Math.floor((expiresAt - now) / 1000)}` : '';
  return `hit${ttl}${outcome === 'stale' ? '; detail=stale' : ''}`;
}

/** An error of the cache as a word for `detail`. */
export function detailOf(error: CacheError & { level?: string }): string {
  return error.code === 'MISSING_SCOPE'
    ? `missing-${error.level}`
    : error.code.toLowerCase().replaceAll('_', '-');
}
