import type { StoredEntry } from './entry.js';
import type { LoadSettings } from './load-settings.js';

/**
 * Whether a hit is late enough in its life to refresh ahead of time.
 * @param now monotonic ms
 * @param random from 0 to below 1
 */
export function isDueEarly(
  entry: StoredEntry,
  { refreshAhead, earlyExpiration }: LoadSettings,
  now: number,
  random: () => number,
): boolean {
  if (entry.ttlMs === Infinity) return false;
  if (refreshAhead !== undefined && now >= entry.freshUntil - entry.ttlMs * (1 - refreshAhead))
    return true;
  if (earlyExpiration === undefined) return false;
  // XFetch (Vattani, Chierichetti, Lowenstein, VLDB 2015): the load's own duration says how early is early enough.
  const loadMs = entry.loadMs ?? 0;
  return now - loadMs * earlyExpiration * Math.log(1 - random()) >= entry.freshUntil;
}
