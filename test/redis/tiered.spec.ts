import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import type { Cache } from '../../lib/core/cache.js';
import { memoryStorage } from '../../lib/index.js';
import { redisBus, redisStorage } from '../../lib/redis.js';
import { tieredStorage } from '../../lib/storages/tiered/index.js';
import { makeCache } from '../support/make-cache.js';
import type { ServerProcess } from '../support/servers/process.js';
import { startProxy, type Proxy } from '../support/servers/proxy.js';
import { cli, startRedis, until } from '../support/servers/redis.js';
import { Stalls } from '../support/stalls.js';
import { sleep } from './support.js';

const BEAT_MS = 200;
/** Two beats, and time for what is under way. */
const BOUND_MS = 2 * BEAT_MS + 150;

let server: ServerProcess;
let open: Cache[] = [];

beforeAll(async () => {
  server = await startRedis();
}, 60_000);
afterAll(() => server.stop());
afterEach(async () => {
  await Promise.all(open.map((cache) => cache.close()));
  open = [];
});

async function node(port = server.port): Promise<Cache> {
  const far = redisStorage({ url: `redis://127.0.0.1:${port}` });
  const storage = tieredStorage({ near: memoryStorage(), far, heartbeat: `${BEAT_MS}ms` });
  const cache = makeCache({ storage, ttl: '10m' });
  open.push(cache);
  await cache.ready();
  await until(async () => (await figures(cache)).busUp === 1, 'the bus is up');
  await sleep(10);
  return cache;
}

async function figures(cache: Cache): Promise<Readonly<Record<string, number>>> {
  return (await cache.stats()).storage;
}

/** Commands that the server processed for clients while `act` ran. */
async function gets(act: () => Promise<unknown>): Promise<number> {
  const count = async (): Promise<number> => {
    const text = await cli(server.port, 'info', 'commandstats');
    return Number(/cmdstat_mget:calls=(\d+)/.exec(text)?.[1] ?? 0);
  };
  const before = await count();
  await act();
  return (await count()) - before;
}

describe('two nodes on one server', () => {
  let a: Cache;
  let b: Cache;

  beforeEach(async () => {
    await cli(server.port, 'flushall');
    a = await node();
    b = await node();
    await until(
      async () => (await figures(a)).busPeers === 1 && (await figures(b)).busPeers === 1,
      'they know each other',
    );
    await sleep(5);
  });

  test('near hits send nothing to the server', async () => {
    await a.set('k', { n: 1 });
    await sleep(20);
    await b.get('k');
    await sleep(5);
    const sent = await gets(async () => {
      for (let count = 0; count < 100; count++) expect(await b.get('k')).toEqual({ n: 1 });
    });
    expect(sent).toBe(0);
  });

  test('P6 a change is seen on the other node with a p99 under 50 ms', async () => {
    const delays: number[] = [];
    for (let round = 0; round < 300; round++) {
      await b.get('k');
      await a.set('k', round);
      const start = performance.now();
      while ((await b.get('k')) !== round) await new Promise((resolve) => setImmediate(resolve));
      delays.push(performance.now() - start);
    }
    delays.sort((one, other) => one - other);
    const [p50, p99, worst] = [0.5, 0.99, 1].map(
      (part) => delays[Math.ceil(delays.length * part) - 1]!,
    );
    console.log(
      `bus delay: p50 ${p50!.toFixed(2)} ms, p99 ${p99!.toFixed(2)} ms, worst ${worst!.toFixed(2)} ms`,
    );
    expect(p99).toBeLessThan(50);
  }, 20_000);

  test('P6 after CLIENT KILL TYPE pubsub nothing that was changed meanwhile is read past the bound', async () => {
    for (let round = 0; round < 10; round++) {
      await a.setMany({ written: 'old', evicted: 'old', deleted: 'old' }, { tags: ['t'] });
      await b.getMany(['written', 'evicted', 'deleted']);
      await cli(server.port, 'client', 'kill', 'type', 'pubsub');
      await a.set('written', 'new');
      await a.evictTags('t');
      await a.delete('deleted');
      await sleep(round % 2 === 0 ? 0 : BOUND_MS);
      const end = performance.now() + BOUND_MS;
      let found: unknown[] = [];
      do found = await b.getMany(['written', 'evicted', 'deleted']);
      while (found.includes('old') && performance.now() < end);
      expect(found).not.toContain('old');
      for (let again = 0; again < 20; again++) {
        expect(await b.getMany(['written', 'evicted', 'deleted'])).not.toContain('old');
        await sleep(10);
      }
    }
  }, 60_000);

  test('P6 after its connection for speaking was killed, a node is trusted again, and heard', async () => {
    await cli(server.port, 'client', 'kill', 'type', 'normal');
    await until(async () => {
      await b.set('probe', 1);
      await sleep(5);
      let value: unknown;
      return (await gets(async () => (value = await b.get('probe')))) === 0 && value === 1;
    }, 'near hits are back');
    await a.get('k');
    await b.set('k', 'new');
    await sleep(60);
    expect(await a.get('k')).toBe('new');
  }, 30_000);

  test('P5 evictions at every step of a load on the other node leave no older value', async () => {
    const pause = (ms: number): Promise<void> =>
      ms < 0.5 ? new Promise((resolve) => setImmediate(resolve)) : sleep(ms);
    for (let step = 0; step < 120; step++) {
      const key = `k${step}`;
      let source = 'old';
      const loading = b.getOrSet(
        key,
        async () => {
          const seen = source;
          await pause(step % 4);
          return seen;
        },
        { tags: ['t'], scope: { org: 'o' } },
      );
      for (let turn = 0; turn < (step % 30) * 3; turn++) await Promise.resolve();
      await pause((step % 10) / 2);
      source = 'new';
      if (step % 3 === 0) await a.evictScope({ org: 'o' });
      else if (step % 3 === 1) await a.evictTags('t', { scope: { org: 'o' } });
      else await a.delete(key, { scope: { org: 'o' } });
      const later = a.getOrSet(key, () => source, { tags: ['t'], scope: { org: 'o' } });
      await loading;
      expect(await later).toBe('new');
      await sleep(10);
      expect(await b.get(key, { scope: { org: 'o' } })).not.toBe('old');
    }
  }, 60_000);
});

describe('a connection that goes silent', () => {
  let proxy: Proxy;
  afterEach(() => proxy.stop());

  test('P6 is not trusted beyond the bound, and nothing stale is read when it is back', async () => {
    proxy = await startProxy(server.port);
    const a = await node();
    const b = await node(proxy.port);
    await a.set('k', 'old');
    await b.get('k');
    await sleep(5);
    proxy.pause();
    await a.set('k', 'new');
    await sleep(BOUND_MS);
    // The far tier is as silent: near values serve while it is away, and a load still runs.
    expect(['old', 'new']).toContain(await b.getOrSet('k', () => 'new'));
    proxy.resume();
    await until(async () => (await b.get('k')) === 'new', 'the new value is seen');
    for (let count = 0; count < 50; count++) {
      expect(await b.get('k')).toBe('new');
      await sleep(10);
    }
  }, 30_000);
});

describe('the bus', () => {
  test('P6 does not take an error of the connection that speaks for deafness', async () => {
    const sockets: { client: Socket; listens: boolean }[] = [];
    const between = createServer((client) => {
      const one = { client, listens: false };
      sockets.push(one);
      const upstream = connect(server.port, '127.0.0.1');
      client.on('data', (bytes) => {
        one.listens ||= bytes.toString().toLowerCase().includes('subscribe');
        upstream.write(bytes);
      });
      upstream.on('data', (bytes) => client.write(bytes));
      for (const socket of [client, upstream]) socket.on('error', () => undefined);
      client.on('close', () => upstream.destroy());
    });
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
    const { port } = between.address() as AddressInfo;
    const heard: string[] = [];
    let ups = 0;
    let downs = 0;
    const bus = redisBus({ url: `redis://127.0.0.1:${port}` }).open('test', {
      onMessage: (text) => void heard.push(text),
      onUp: () => ups++,
      onDown: () => downs++,
    });
    await until(() => ups === 1, 'the bus is up');
    const speaks = (text: string): Promise<boolean> =>
      until(async () => {
        await bus.publish(text).catch(() => undefined);
        await sleep(20);
        return heard.includes(text);
      }, `${text} is heard`).then(() => true);
    try {
      await speaks('before');
      for (const { client, listens } of sockets) if (!listens) client.resetAndDestroy();
      await speaks('after');
      expect({ ups, downs }).toEqual({ ups: 1, downs: 0 });
    } finally {
      await bus.close();
      for (const { client } of sockets) client.destroy();
      between.close();
    }
  }, 30_000);
});

describe('a client handed in', () => {
  test('P17 is left open, and the bus listens on a connection of its own', async () => {
    const client = new Redis(server.port, '127.0.0.1');
    const make = (): Cache => {
      const cache = makeCache({
        storage: tieredStorage({
          near: memoryStorage(),
          far: redisStorage({ client }),
          heartbeat: `${BEAT_MS}ms`,
        }),
      });
      open.push(cache);
      return cache;
    };
    const [a, b] = [make(), make()];
    await until(async () => (await figures(a)).busPeers === 1, 'they know each other');
    await a.set('k', 'old');
    await b.get('k');
    await a.set('k', 'new');
    await sleep(60);
    expect(await b.get('k')).toBe('new');
    await a.close();
    await b.close();
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
  });
});

describe('P12 P13 a server that hangs, dies and returns, under load', () => {
  /**
   * One deadline of 250 ms, half of one for evictions that have to be carried out first, and what timers add. Not counted: what
   * this process stood still meanwhile.
   */
  const LIMIT_MS = 450;
  /** Who follows a load of the other process when the server stops asks again after 500 ms at most, in vain (0036). */
  const FOLLOWER_LIMIT_MS = 500 + LIMIT_MS;

  interface Call {
    readonly phase: string;
    readonly ms: number;
    readonly stalledMs: number;
  }

  /** Four callers in each process, who load and now and then evict what all share. */
  class Traffic {
    phase = 'up';
    readonly calls: Call[] = [];
    readonly #stalls = new Stalls();
    readonly #callers: Promise<void>[];
    #isOver = false;

    constructor(caches: readonly Cache[]) {
      this.#callers = caches.flatMap((cache) =>
        [0, 1, 2, 3].map((nth) => this.#callAgainAndAgain(cache, nth)),
      );
    }

    async stop(): Promise<void> {
      this.#isOver = true;
      await Promise.all(this.#callers);
      this.#stalls.stop();
    }

    /** Longest first. */
    in(phase: string): Call[] {
      return this.calls
        .filter((call) => call.phase === phase)
        .sort((one, other) => other.ms - one.ms);
    }

    async #callAgainAndAgain(cache: Cache, nth: number): Promise<void> {
      for (let count = 0; !this.#isOver; count++) {
        const start = performance.now();
        const stalledBefore = this.#stalls.soFarMs();
        const scope = { org: `o${nth % 4}` };
        if (count % 10 === 9) await cache.evictScope(scope);
        else await cache.getOrSet(`k${(count * 7 + nth) % 40}`, () => 0, { scope });
        const stalledMs = this.#stalls.soFarMs() - stalledBefore;
        const ms = performance.now() - start - stalledMs;
        this.calls.push({ phase: this.phase, ms, stalledMs });
        await sleep(2);
      }
    }
  }

  const delivered = async (...caches: Cache[]): Promise<void> =>
    until(async () => {
      const all = await Promise.all(caches.map(figures));
      return all.every(({ journaledEvictions }) => journaledEvictions === 0);
    }, 'the journals are delivered');

  test('no request waits beyond its deadlines, and evictions arrive', async () => {
    await cli(server.port, 'flushall');
    const [a, b] = [await node(), await node()];
    const traffic = new Traffic([a, b]);
    await sleep(300);
    traffic.phase = 'hanging';
    server.pause();
    await sleep(2_500);
    traffic.phase = 'back from hanging';
    server.resume();
    await sleep(1_500);
    traffic.phase = 'dead';
    await server.kill();
    await sleep(2_000);
    traffic.phase = 'restarting';
    await server.restart();
    await sleep(1_500);
    await traffic.stop();
    for (const phase of new Set(traffic.calls.map((call) => call.phase))) {
      const all = traffic.in(phase);
      const p99 = all[Math.floor(all.length / 100)]!.ms;
      const stalledMs = Math.max(...all.map((call) => call.stalledMs));
      console.log(
        `${phase}: ${all.length} requests, p99 ${p99.toFixed(1)} ms, worst ${all[0]!.ms.toFixed(1)} ms, stalls up to ${stalledMs.toFixed(0)} ms`,
      );
      expect(all[0]!.ms).toBeLessThan(FOLLOWER_LIMIT_MS);
      // Seldom enough that two of them in one run are something else.
      expect(all[1]!.ms).toBeLessThan(LIMIT_MS);
    }
    await delivered(a, b);
  }, 60_000);

  /** How often; decision 0036 was measured with 240. */
  const PAUSES = Number(process.env.PAUSES ?? 2);

  test(
    'nor does one when the server hangs again and again',
    async () => {
      await cli(server.port, 'flushall');
      const [a, b] = [await node(), await node()];
      const traffic = new Traffic([a, b]);
      for (let pause = 0; pause < PAUSES; pause++) {
        // Each time at another point of what the requests are doing.
        await sleep(400 + (pause % 10) * 3);
        server.pause();
        await sleep(600);
        server.resume();
      }
      await sleep(1_000);
      await traffic.stop();
      const all = traffic.in('up');
      const longest = all.slice(0, 5).map(({ ms }) => ms.toFixed(0));
      console.log(`${PAUSES} pauses, ${all.length} requests, the longest ${longest.join(', ')} ms`);
      expect(all[0]!.ms).toBeLessThan(FOLLOWER_LIMIT_MS);
      // As seldom as that.
      const late = all.filter(({ ms }) => ms > LIMIT_MS).length;
      expect(late).toBeLessThanOrEqual(Math.ceil(PAUSES / 60));
      await delivered(a, b);
    },
    PAUSES * 2_000 + 60_000,
  );

  test.each(['hangs', 'is killed'] as const)(
    'an eviction while it %s is in force here at once, and everywhere after its return',
    async (how) => {
      await cli(server.port, 'flushall');
      const [a, b] = [await node(), await node()];
      const scope = { org: 'o' };
      await a.setMany({ evicted: 'old', deleted: 'old', tagged: 'old' }, { scope, tags: ['t'] });
      await b.getMany(['evicted', 'deleted', 'tagged'], { scope });
      if (how === 'hangs') server.pause();
      else await server.kill();
      await a.delete('deleted', { scope });
      await a.evictTags('t', { scope });
      await a.evictScope(scope);
      expect(await a.getMany(['evicted', 'deleted', 'tagged'], { scope })).not.toContain('old');
      if (how === 'hangs') server.resume();
      else await server.restart();
      await until(
        async () => (await figures(a)).journaledEvictions === 0,
        'the journal is delivered',
      );
      await sleep(BOUND_MS);
      for (let count = 0; count < 20; count++) {
        expect(await a.getMany(['evicted', 'deleted', 'tagged'], { scope })).not.toContain('old');
        expect(await b.getMany(['evicted', 'deleted', 'tagged'], { scope })).not.toContain('old');
        await sleep(10);
      }
    },
    60_000,
  );
});
