import { describe, it } from '@jest/globals';
import { lru, maxItems, timeToLive, type EvictionRule, type RuleEntry } from 'nestjs-scoped-cache';
import { evictionRuleContract } from 'nestjs-scoped-cache/testing';

const lruOfSix = { makeRule: () => lru({ max: 6 }), keepsAtMost: 6, describe, it };
evictionRuleContract({ name: 'lru by entries', ...lruOfSix });
evictionRuleContract({ ...lruOfSix, name: 'lru by bytes', makeRule: () => lru({ maxBytes: 600 }) });
evictionRuleContract({
  ...lruOfSix,
  name: 'lru per user',
  makeRule: () => lru({ max: 6, per: 'user' }),
});
evictionRuleContract({ ...lruOfSix, name: 'maxItems', makeRule: () => maxItems({ max: 6 }) });
evictionRuleContract({
  name: 'timeToLive',
  makeRule: () => timeToLive({ max: '1h' }),
  describe,
  it,
});

/** First in, first out, and asynchronous. */
function fifo(max: number, queue: RuleEntry[] = []): EvictionRule {
  return {
    name: 'fifo',
    fresh: () => fifo(max),
    async onSet(entry, replaces) {
      queue.push(entry);
      const rest = queue.filter((one) => one !== replaces);
      return rest
        .slice(0, Math.max(0, rest.length - max))
        .map((one) => ({ action: 'evict', entry: one }));
    },
    onEvict: (entry) => void (queue = queue.filter((one) => one !== entry)),
    onClear: async () => void (queue = []),
  };
}
evictionRuleContract({ ...lruOfSix, name: 'a custom rule', makeRule: () => fifo(6) });
