import { describe, expect, it } from '@jest/globals';
import { ServerClock } from '../../lib/storages/redis/server-clock.js';
import { ManualClock } from '../../lib/testing/manual-clock.js';

describe('the time of a Redis server', () => {
  /** A server that is ahead by `aheadMs`. */
  function setUp(aheadMs: number) {
    const clock = new ManualClock();
    const serverClock = new ServerClock(clock);
    const startMs = clock.now() - clock.monotonic();
    const server = { aheadMs };
    const trueOffset = (): number => startMs + server.aheadMs;
    const time = async (): Promise<[string, string]> => {
      const micros = Math.round((clock.monotonic() + trueOffset()) * 1_000);
      return [String(Math.trunc(micros / 1e6)), String(micros % 1e6)];
    };
    const sample = (thereMs: number, backMs: number): Promise<void> =>
      serverClock.sample(async () => {
        clock.advance(thereMs);
        const answer = await time();
        clock.advance(backMs);
        return answer;
      });
    const errorMs = (): number => serverClock.now() - clock.monotonic() - trueOffset();
    return { clock, serverClock, server, sample, errorMs, time };
  }

  it('P7 one answer that was late does not move the lives of all entries', async () => {
    const { clock, sample, errorMs } = setUp(5_000);
    await sample(1, 1);
    expect(Math.abs(errorMs())).toBeLessThanOrEqual(2);
    clock.advance(1_000);
    await sample(0, 900);
    expect(Math.abs(errorMs())).toBeLessThanOrEqual(3);
    clock.advance(30_000);
    await sample(700, 0);
    expect(Math.abs(errorMs())).toBeLessThanOrEqual(20);
  });

  it('P7 a first answer that was late is soon made good', async () => {
    const { clock, serverClock, sample, errorMs } = setUp(-70_000);
    await sample(0, 800);
    expect(Math.abs(errorMs())).toBeGreaterThan(300);
    expect(serverClock.isDue(0, '')).toBe(false);
    clock.advance(1_000);
    expect(serverClock.isDue(0, '')).toBe(true);
    await sample(1, 1);
    expect(Math.abs(errorMs())).toBeLessThanOrEqual(2);
  });

  it('P7 while an answer allows what the host’s own clock says, that stays, however late the answer was', async () => {
    const { sample, errorMs } = setUp(0);
    await sample(0, 900);
    expect(Math.abs(errorMs())).toBeLessThanOrEqual(1);
    await sample(900, 0);
    expect(Math.abs(errorMs())).toBeLessThanOrEqual(1);
  });

  it('P7 what came before a command was sent is not held against the answer', async () => {
    const { clock, serverClock, errorMs, time } = setUp(5_000);
    await serverClock.sample(async (onSent) => {
      clock.advance(3_000);
      onSent();
      return time();
    });
    expect(Math.abs(errorMs())).toBeLessThanOrEqual(1);
  });

  it('P7 an answer that comes when another server has taken over is not believed', async () => {
    const { serverClock, server, errorMs, time } = setUp(0);
    serverClock.isDue(1, 'a:1');
    await serverClock.sample(async () => {
      server.aheadMs = 5_000;
      const answer = await time();
      server.aheadMs = 0;
      serverClock.isDue(1, 'b:1');
      return answer;
    });
    expect(Math.abs(errorMs())).toBeLessThanOrEqual(1);
    expect(serverClock.isDue(1, 'b:1')).toBe(true);
  });

  it('a server that does not answer is asked again after a second, not by every read', async () => {
    const { clock, serverClock } = setUp(0);
    const failure = new Error('away');
    await expect(serverClock.sample(() => Promise.reject(failure))).rejects.toBe(failure);
    expect(serverClock.isDue(0, '')).toBe(false);
    clock.advance(1_000);
    expect(serverClock.isDue(0, '')).toBe(true);
  });

  it('P7 a clock that was set, and another server, are believed', async () => {
    const { clock, serverClock, server, sample, errorMs } = setUp(0);
    await sample(1, 1);
    clock.advance(1_000);
    server.aheadMs = 3_600_000;
    await sample(1, 1);
    expect(Math.abs(errorMs())).toBeLessThanOrEqual(2);
    // Less than the width of what is known.
    expect(serverClock.isDue(1, '')).toBe(true);
    server.aheadMs += 10;
    await sample(1, 1);
    expect(Math.abs(errorMs())).toBeLessThanOrEqual(2);
  });

  it('is asked for often at first, then every 30 seconds', async () => {
    const { clock, serverClock, sample } = setUp(0);
    const pauses: number[] = [];
    for (let nth = 0; nth < 7; nth++) {
      await sample(0, 0);
      let seconds = 0;
      for (; !serverClock.isDue(0, ''); seconds++) clock.advance(1_000);
      pauses.push(seconds);
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30]);
  });
});
