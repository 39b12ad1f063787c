import type { ScopeSelector } from './scope.js';

/** A hit: there was a value, whatever it is; `undefined`, `null`, `0`, `''` and `false` are values. */
export interface Hit<T> {
  readonly hit: true;
  readonly value: T;
  /** When it stops being fresh: milliseconds since the epoch, `Infinity` for never. */
  readonly expiresAt: number;
  /** Past its TTL, served within its grace. */
  readonly stale: boolean;
  readonly tags: readonly string[];
}

/** There was nothing. */
export interface Miss {
  readonly hit: false;
}

/** The result of a read that can tell a miss from any value. */
export type Lookup<T> = Hit<T> | Miss;

/** What `getInherited` found: a hit says where, `'global'` or ids. */
export type InheritedLookup<T> = (Hit<T> & { readonly scope: ScopeSelector }) | Miss;

/** The one miss. */
export const MISS: Miss = Object.freeze({ hit: false });
