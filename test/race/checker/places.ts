import type { ScopeIds } from 'nestjs-scoped-cache';

/** Where the races take place. */
export interface Place {
  readonly id: string;
  readonly key: string;
  readonly scope: ScopeIds;
  readonly tag: string;
}

export const PLACES: readonly Place[] = [
  { id: 'a1k', key: 'k', scope: { org: 'a', user: '1' }, tag: 't' },
  { id: 'a1l', key: 'l', scope: { org: 'a', user: '1' }, tag: 'u' },
  { id: 'a2k', key: 'k', scope: { org: 'a', user: '2' }, tag: 't' },
  { id: 'ak', key: 'k', scope: { org: 'a' }, tag: 'u' },
  { id: 'bk', key: 'k', scope: { org: 'b', user: '1' }, tag: 't' },
];

/** Holds a number that is only counted with. */
export const COUNTER: Place = { id: 'an', key: 'n', scope: { org: 'a' }, tag: 'none' };

export const inOrg = (org: string): Place[] =>
  [...PLACES, COUNTER].filter((place) => place.scope['org'] === org);

export const tagged = (tag: string, org: string): Place[] =>
  inOrg(org).filter((place) => place.tag === tag);
