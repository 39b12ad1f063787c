import { describe, expect, it } from '@jest/globals';
import { EvictionJournal } from '../../../lib/core/resilience/eviction-journal.js';
import { ScopeTree } from '../../../lib/core/scope-tree.js';

const scopes = new ScopeTree(['org']);
const at = (key: number) => ({ scope: scopes.pathOf({ org: 'o' }, undefined), key: String(key) });

describe('the journal of evictions', () => {
  it('P16 P13 holds 10,000 records at most; beyond, one that evicts everything stands for all', () => {
    const journal = new EvictionJournal();
    for (let key = 0; key < 10_000; key++) journal.addKey(at(key));
    expect(journal.size).toBe(10_000);
    expect(journal.coversPlace(at(10_000))).toBe(false);
    journal.addKey(at(10_000));
    expect(journal.size).toBe(2);
    for (const key of [0, 9_999, 10_000, 20_000]) expect(journal.coversPlace(at(key))).toBe(true);
  });

  it('what is asked for again is one record', () => {
    const journal = new EvictionJournal();
    for (let round = 0; round < 3; round++) {
      journal.addKey(at(1));
      journal.addScope(at(1).scope);
      journal.addTags(at(1).scope, ['t']);
    }
    expect(journal.size).toBe(3);
  });
});
