import { describe, it } from '@jest/globals';
import { deferred, type ContractRunner } from 'nestjs-scoped-cache/testing';

/**
 * A runner for contract suites on real servers, whose clauses mostly wait for entries to expire: up to `most` run at a
 * time, and each is reported in its own place. The first one that Jest calls starts them all.
 */
export function together(most = 4): ContractRunner {
  const queue: (() => Promise<void>)[] = [];
  let started: readonly Promise<void>[] | undefined;
  return {
    describe,
    it(name, body) {
      const at = queue.push(async () => body()) - 1;
      it(name, () => (started ??= startAll(queue, most))[at]);
    },
  };
}

/** In their order, `most` at a time. */
function startAll(queue: readonly (() => Promise<void>)[], most: number): readonly Promise<void>[] {
  const ends = queue.map(() => deferred());
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < queue.length) {
      const at = next++;
      await queue[at]!().then(ends[at]!.resolve, ends[at]!.reject);
    }
  };
  // Whoever waits for one is told of its failure; until then it is nobody's unhandled rejection.
  for (const { promise } of ends) promise.catch(() => undefined);
  for (let count = 0; count < most; count++) void work();
  return ends.map(({ promise }) => promise);
}
