import type { Loader } from './cache-options.js';
import type { StoredEntry } from './entry.js';
import type { LoadSettings } from './load-settings.js';
import type { EntryAddress } from './storage.js';

/** A read that failed after so long has had its request's patience; one that failed sooner says little about the rest. */
export const PATIENCE_MS = 50;

/** One load as asked for by a caller. */
export interface LoadRequest {
  readonly at: EntryAddress;
  readonly id: string;
  readonly loader: Loader<unknown>;
  readonly settings: LoadSettings;
  /** The entry past its TTL but within its grace, when the read found one. */
  readonly stale: StoredEntry | undefined;
  /** `Loading.revision` when that read began. */
  readonly revision: number;
  /** The read waited for the storage in vain. This load does without it: one request waits for one deadline (P12). */
  readonly isAway: boolean;
}

/** @param isAway default false */
export function requestOf(
  at: EntryAddress,
  loader: Loader<unknown>,
  settings: LoadSettings,
  stale: StoredEntry | undefined,
  revision: number,
  isAway = false,
): LoadRequest {
  return { at, id: idOf(at), loader, settings, stale, revision, isAway };
}

/** What a load is known by while it is under way. */
export function idOf({ scope, key }: EntryAddress): string {
  return `${scope.id}\n${key}`;
}
