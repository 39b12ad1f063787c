import { describe, expect, it, jest } from '@jest/globals';
import { sleep, systemClock } from '../../../lib/core/clock.js';
import { KeyLocks } from '../../../lib/core/key-locks.js';
import { LoadNotes } from '../../../lib/core/load-notes.js';
import { GLOBAL_SCOPE } from '../../../lib/core/scope.js';
import { deferred } from '../../../lib/testing/deferred.js';
import { ManualClock } from '../../../lib/testing/manual-clock.js';

describe('systemClock', () => {
  it('honours delays above 2^31 - 1 ms instead of firing at once', () => {
    jest.useFakeTimers();
    try {
      let fired = 0;
      systemClock.after(2 ** 31 + 1_000, () => fired++);
      const stop = systemClock.after(2 ** 31 + 1_000, () => (fired += 10));
      jest.advanceTimersByTime(2 ** 31);
      expect(fired).toBe(0);
      stop();
      jest.advanceTimersByTime(1_000);
      expect(fired).toBe(1);
      systemClock.after(Infinity, () => fired++)();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it('P17 its timers do not keep the process alive', () => {
    const before = process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length;
    const stop = systemClock.after(60_000, () => undefined);
    expect(process.getActiveResourcesInfo().filter((one) => one === 'Timeout')).toHaveLength(
      before,
    );
    stop();
  });

  it('monotonic never goes back', () => {
    const first = systemClock.monotonic();
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(first);
    expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1_000);
  });
});

describe('ManualClock', () => {
  it('fires timers in the order of their times, each at its own time, and those that they start', () => {
    const clock = new ManualClock(1_000);
    const seen: unknown[] = [];
    clock.after(20, () => seen.push(['b', clock.monotonic(), clock.now()]));
    clock.after(10, () => {
      seen.push(['a', clock.monotonic()]);
      clock.after(5, () => seen.push(['c', clock.monotonic()]));
    });
    clock.after(40, () => seen.push('never'))();
    clock.advance(30);
    expect(seen).toEqual([
      ['a', 10],
      ['c', 15],
      ['b', 20, 1_020],
    ]);
    expect([clock.monotonic(), clock.pending]).toEqual([30, 0]);
  });

  it('advanceAsync lets promises run in between', async () => {
    const clock = new ManualClock();
    let woke = 0;
    const sleeper = sleep(clock, 10)
      .then(() => sleep(clock, 10))
      .then(() => (woke = clock.monotonic()));
    await clock.advanceAsync(100);
    await sleeper;
    expect(woke).toBe(20);
  });
});

describe('KeyLocks', () => {
  it('P16 runs work on one key in turn, whatever it throws, and is empty afterwards', async () => {
    const locks = new KeyLocks();
    const gate = deferred();
    const order: number[] = [];
    const first = locks.run('k', async () => {
      await gate.promise;
      order.push(1);
      throw new Error('first');
    });
    const second = locks.run('k', async () => order.push(2));
    const other = locks.run('l', async () => order.push(0));
    await other;
    gate.resolve();
    await expect(first).rejects.toThrow('first');
    await second;
    expect(order).toEqual([0, 1, 2]);
    await Promise.resolve();
    expect(locks.size).toBe(0);
  });
});

describe('LoadNotes', () => {
  it('P16 keeps at most 10,000, each for its time only', () => {
    const clock = new ManualClock();
    const notes = new LoadNotes(clock);
    for (let at = 0; at < 10_500; at++)
      notes.keep(
        `k${at}`,
        { at: { scope: GLOBAL_SCOPE, key: `k${at}` }, failure: undefined, hidesStale: false },
        1_000,
      );
    expect(notes.size).toBe(10_000);
    expect(notes.find('k0')).toBeUndefined();
    clock.advance(1_000);
    expect([notes.size, clock.pending]).toEqual([0, 0]);
  });
});
