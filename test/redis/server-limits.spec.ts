import { describe, expect, test } from '@jest/globals';
import { ServerLimits } from '../../lib/storages/redis/server-limits.js';

/** What the server's clock is ahead of ours. */
const AHEAD_MS = 1_700_000_000_000;

/** Asks: the answer was made `wayMs` before it came, of `tripMs` in all. */
function ask(limits: ServerLimits, now: number, aheadMs: number, tripMs = 2, wayMs = 1): void {
  limits.learn('a', now - wayMs + aheadMs, now - tripMs, now);
}

describe('P5 until when a server may carry out a write', () => {
  test('never later than the deadline here, whatever way the answer took', () => {
    for (const wayMs of [0, 1, 50, 100]) {
      const limits = new ServerLimits();
      ask(limits, 1_000, AHEAD_MS, 100, wayMs);
      const limit = limits.limit('a', 1_250)!;
      expect(limit).toBeLessThanOrEqual(1_250 + AHEAD_MS);
      expect(limit).toBeGreaterThanOrEqual(1_250 + AHEAD_MS - wayMs - 2);
    }
  });

  test('a slow answer does not undo what a quick one has told', () => {
    const limits = new ServerLimits();
    ask(limits, 1_000, AHEAD_MS, 2, 1);
    ask(limits, 2_000, AHEAD_MS, 400, 390);
    expect(limits.limit('a', 2_250)).toBeGreaterThan(2_250 + AHEAD_MS - 5);
  });

  test('what was learned long ago counts less: clocks drift', () => {
    const limits = new ServerLimits();
    ask(limits, 0, AHEAD_MS);
    // 200 ppm slower for half a minute.
    expect(limits.limit('a', 30_000)).toBeLessThanOrEqual(30_000 + AHEAD_MS - 6);
    expect(limits.isDue('a', 29_000)).toBe(false);
    expect(limits.isDue('a', 31_000)).toBe(true);
  });

  test.each([-3_600_000, 3_600_000])('a clock that was set by %d ms', (stepMs) => {
    const limits = new ServerLimits();
    ask(limits, 1_000, AHEAD_MS);
    ask(limits, 2_000, AHEAD_MS + stepMs);
    const limit = limits.limit('a', 2_250)!;
    expect(limit).toBeLessThanOrEqual(2_250 + AHEAD_MS + stepMs);
    expect(limit).toBeGreaterThan(2_250 + AHEAD_MS + stepMs - 5);
  });

  test('each server has its own clock, and after a reconnect it may be another server', () => {
    const limits = new ServerLimits();
    limits.forgetBefore(1);
    ask(limits, 1_000, AHEAD_MS);
    expect(limits.limit('b', 1_250)).toBeUndefined();
    limits.forgetBefore(1);
    expect(limits.limit('a', 1_250)).toBeDefined();
    limits.forgetBefore(2);
    expect(limits.limit('a', 1_250)).toBeUndefined();
  });

  test('one that does not tell its time has no limits, until it does', () => {
    const limits = new ServerLimits();
    limits.learnNothing('a', 1_000);
    expect(limits.limit('a', 1_250)).toBe(Infinity);
    ask(limits, 40_000, AHEAD_MS);
    expect(limits.limit('a', 40_250)).toBeLessThanOrEqual(40_250 + AHEAD_MS);
  });
});
