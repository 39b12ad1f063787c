import { describe, expect, it } from '@jest/globals';
import { HitMembers } from '../../../lib/nest/method/cache-status.js';

describe('the members of Cache-Status that hits announce', () => {
  const members = new HitMembers();

  it('say how many whole seconds are left, whatever was said before', () => {
    // 5, 261 and 517 share a place among the 256 that are kept.
    for (const seconds of [5, 261, 5, 5, 517, 261, 0, 256, 0])
      expect(members.of(seconds * 1000 + 999)).toBe(`nestjs-scoped-cache; hit; ttl=${seconds}`);
  });

  it('are negative for what is past its end, and name no end where there is none', () => {
    expect(members.of(-1)).toBe('nestjs-scoped-cache; hit; ttl=-1');
    expect(members.of(-256_000)).toBe('nestjs-scoped-cache; hit; ttl=-256');
    expect(members.of(Infinity)).toBe('nestjs-scoped-cache; hit');
  });

  it('are right beyond what 32 bits hold', () => {
    const seconds = 2 ** 40 + 5;
    expect(members.of(seconds * 1000)).toBe(`nestjs-scoped-cache; hit; ttl=${seconds}`);
    expect(members.of(5_000)).toBe('nestjs-scoped-cache; hit; ttl=5');
  });
});
