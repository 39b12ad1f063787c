import { describe, expect, it } from '@jest/globals';
import { isDueEarly } from '../../../lib/core/early-refresh.js';
import type { StoredEntry } from '../../../lib/core/entry.js';
import { defaultSettings } from '../../../lib/core/load-settings.js';

const entry: StoredEntry = {
  value: 1,
  storedAt: 0,
  ttlMs: 10_000,
  freshUntil: 10_000,
  staleUntil: 10_000,
  sliding: false,
  tags: [],
  loadMs: 100,
};
/** Its negative logarithm is 1. */
const e = () => 1 - 1 / Math.E;

describe('XFetch', () => {
  it.each([
    [1, 9_900],
    [2, 9_800],
    [0.5, 9_950],
  ])(
    'with a factor of %d a load of 100 ms is due, at average luck, from %d ms on',
    (factor, due) => {
      const settings = defaultSettings(10_000, { earlyExpiration: factor });
      expect(isDueEarly(entry, settings, due - 1, e)).toBe(false);
      expect(isDueEarly(entry, settings, due + 0.001, e)).toBe(true);
    },
  );

  it('without luck it is not due before its end; nor is one that took no time, or lives for ever', () => {
    const settings = defaultSettings(10_000, { earlyExpiration: 1 });
    expect(isDueEarly(entry, settings, 9_999, () => 0)).toBe(false);
    expect(isDueEarly({ ...entry, loadMs: 0 }, settings, 9_999, e)).toBe(false);
    expect(isDueEarly({ ...entry, ttlMs: Infinity }, settings, 9_999, () => 0.999_999)).toBe(false);
  });
});
