import type { Prices } from './prices.controller.js';
import type { RedisServer } from './redis-server.js';

/** What the show found; each is `true` when it went as promised. */
export interface Shown {
  readonly sharedHit: boolean;
  readonly evictionSeen: boolean;
  readonly failedRequests: number;
  readonly worstMs: number;
  readonly evictionSurvived: boolean;
}

/** Plays the story on two nodes, saying what happens. */
export async function show(
  nodes: readonly [string, string],
  redis: RedisServer,
  say: (line: string) => void,
): Promise<Shown> {
  const [first, second] = nodes;
  const loaded = await prices(first);
  const shared = await prices(second);
  const sharedHit = shared.loadedBy === loaded.loadedBy && shared.answeredBy !== loaded.answeredBy;
  say(
    `1. Process ${loaded.answeredBy} loaded the prices; process ${shared.answeredBy} answered from the cache.`,
  );

  await evict(first);
  await sleep(60);
  const anew = await prices(second);
  const evictionSeen = anew.loadedBy !== loaded.loadedBy || anew.version > loaded.version;
  say(`2. Evicted on the first node; the second node loaded version ${anew.version} itself.`);

  let isOver = false;
  let failedRequests = 0;
  const times: number[] = [];
  const visitor = async (node: string): Promise<void> => {
    while (!isOver) {
      const start = performance.now();
      await prices(node).catch(() => failedRequests++);
      times.push(performance.now() - start);
      await sleep(5);
    }
  };
  const visitors = [first, first, second, second].map(visitor);
  await sleep(500);
  await redis.stop();
  say('3. Redis is killed while visitors ask both nodes.');
  await sleep(1_000);
  const before = await prices(first);
  await evict(first);
  say('4. Evicted on the first node while Redis is away.');
  await sleep(500);
  await redis.start();
  say('5. Redis is started again.');
  await sleep(2_500);
  const after = await Promise.all([prices(first), prices(second)]);
  isOver = true;
  await Promise.all(visitors);
  const isOld = (one: Prices): boolean =>
    one.loadedBy === before.loadedBy && one.version === before.version;
  const evictionSurvived = !after.some(isOld);
  const worstMs = Math.round(Math.max(...times));
  say(
    `6. ${times.length} requests, ${failedRequests} failed, the slowest took ${worstMs} ms; ` +
      `old prices after the return: ${evictionSurvived ? 'none' : 'SOME'}.`,
  );
  return { sharedHit, evictionSeen, failedRequests, worstMs, evictionSurvived };
}

async function prices(node: string): Promise<Prices> {
  const response = await fetch(`${node}/orgs/acme/prices`);
  if (!response.ok) throw new Error(`${response.status}`);
  return (await response.json()) as Prices;
}

async function evict(node: string): Promise<void> {
  await fetch(`${node}/orgs/acme/prices`, { method: 'DELETE' });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
