/**
 * One process of a soak: an application with one cache that does random things as fast as `pauseMs` allows, and says what it
 * did and when, on the machine's monotonic clock, which all processes share. Knows only the package's public entry points.
 */
import 'reflect-metadata';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { NestFactory } from '@nestjs/core';

const plan = JSON.parse(process.argv[2]);
const from = (file) => import(pathToFileURL(join(plan.dist, file)).href);
const { CacheModule, CacheService, memoryStorage, tieredStorage } = await from('index.js');
const { redisStorage } = await from('redis.js');
const { fileStorage } = await from('file.js');

const now = () => Number(process.hrtime.bigint()) / 1e6;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const faults = {};
const storages = {
  redis: () => redisStorage({ url: `redis://127.0.0.1:${plan.port}` }),
  sentinel: () => redisStorage({ sentinel: { sentinels: plan.nodes, name: plan.master } }),
  cluster: () => redisStorage({ cluster: { nodes: plan.nodes } }),
  tiered: () =>
    tieredStorage({
      near: memoryStorage(),
      far: storages.redis(),
      staleWhileAway: plan.staleWhileAway,
    }),
  file: () => fileStorage({ directory: plan.directory }),
};

class Application {}
const module = CacheModule.forRoot({
  storage: storages[plan.storage](),
  onStorageError: plan.onStorageError,
  ttl: '3s',
  listener: {
    onFault: ({ during, error }) => {
      const name = `${during}: ${error?.code ?? error?.name}`;
      faults[name] = (faults[name] ?? 0) + 1;
    },
  },
});
const app = await NestFactory.createApplicationContext(
  { module: Application, imports: [module] },
  { logger: false },
);
const cache = app.get(CacheService);

/** mulberry32: the same choices for the same seed. */
let state = plan.seed >>> 0;
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}
const below = (limit) => Math.floor(random() * limit);
const pick = (list) => list[below(list.length)];

const SCOPES = [
  'global',
  { org: 'o1' },
  { org: '*' },
  { org: 'o1', user: 'u1' },
  { org: 'o1', user: 'u2' },
  { org: '*', user: 'u1' },
];
const nameOf = (scope) =>
  scope === 'global'
    ? ''
    : Object.values(scope)
        .map((id) => `/${id}`)
        .join('');
const KINDS = [
  { ttl: 1.5 },
  { ttl: 2, refreshAhead: 0.5, grace: '2s' },
  { ttl: 0.6, grace: '3s', softTimeout: '10ms' },
  { ttl: 2, hardTimeout: '1s', lease: '1s' },
  { ttl: 2, sliding: true, lease: '1s' },
  { ttl: 2.5, earlyExpiration: 1, jitter: 0.2, lease: '2s' },
];
/** Two thirds of all calls go to a third of the keys. */
const anyIndex = () => (random() < 0.66 ? below(6) : 6 + below(12));
function anyPlace() {
  const scope = pick(SCOPES);
  return placeAt(scope, anyIndex());
}
function placeAt(scope, index) {
  const tag = index % 4;
  return {
    scope,
    index,
    key: `k${index}`,
    place: `${nameOf(scope)}|k${index}`,
    tag,
    tags: [`t${tag}`],
  };
}

// A call is not blamed for the time in which its whole process stood still.
const TICK_MS = 10;
let stalledMs = 0;
let lastTick = now();
function stalledSoFar() {
  const late = now() - lastTick - TICK_MS;
  return late > 15 ? stalledMs + late : stalledMs;
}

/** What is reported: reads, changes and loads, in the order in which they ended. */
let records = [];
let next = 0;
const newId = () => `${plan.name}-${next++}`;

/** The source of truth: a load sees what is true from its begin on, after a random time. Some fail, some are slow. */
async function load(place, tag) {
  const id = newId();
  const begin = now();
  const kind = random();
  const delayMs = kind < 0.02 ? 300 + below(1_500) : kind < 0.5 ? 1 + below(5) : 5 + below(40);
  try {
    if (delayMs > 2 || random() < 0.5) await sleep(delayMs);
    if (random() < 0.03) throw new Error('the source failed');
    return { place, id, tag, by: 'load', begin };
  } finally {
    records.push({ is: 'load', id, place, start: begin, end: now() });
  }
}

/** One of them that fails does not end the others. */
async function loadAll(places) {
  const results = await Promise.allSettled(places.map((place) => load(place)));
  return results.map(({ value, reason }) => value ?? reason);
}

/** Does it, and reports when it began, when it ended and how. */
async function timed(op, about, work) {
  const stalledBefore = stalledSoFar();
  const record = { ...about, op, start: now(), end: 0 };
  try {
    const result = await work(record);
    record.end = now();
    return result;
  } catch (error) {
    record.end = now();
    record.error = error?.code ?? error?.message ?? String(error);
    if (error?.code === 'BULK_LOAD') record.error = 'the source failed';
  } finally {
    record.stalled = stalledSoFar() - stalledBefore;
    records.push(record);
  }
}

const seen = (value) =>
  value === undefined || value === null
    ? undefined
    : { place: value.place, id: value.id, tag: value.tag, by: value.by, begin: value.begin };
const read = (op, at, work) =>
  timed(op, { is: 'read', places: [at.place] }, async (record) => {
    record.values = [seen(await work())];
  });
/** `id`: of the value that it writes, if it writes one. */
const change = (op, about, work) => timed(op, { is: 'change', ...about }, work);
const written = ({ place }, id, tag) => ({ place, id, tag, by: 'set', begin: now() });

function several() {
  const scope = pick(SCOPES);
  const first = anyIndex();
  const indexes = [...new Set([first, (first + 1) % 18, below(18)])];
  return { scope, list: indexes.map((index) => placeAt(scope, index)) };
}

const operations = {
  getOrSet: [
    40,
    (at) =>
      read('getOrSet', at, () =>
        cache.getOrSet(at.key, () => load(at.place, at.tag), {
          scope: at.scope,
          tags: at.tags,
          ...KINDS[at.index % KINDS.length],
        }),
      ),
  ],
  get: [25, (at) => read('get', at, () => cache.get(at.key, { scope: at.scope }))],
  lookup: [
    5,
    (at) =>
      read(
        'lookup',
        at,
        async () => (await cache.lookup(at.key, { scope: at.scope, allowStale: true })).value,
      ),
  ],
  getMany: [
    6,
    () => {
      const { scope, list } = several();
      return timed(
        'getMany',
        { is: 'read', places: list.map(({ place }) => place) },
        async (record) => {
          const found = await cache.getMany(
            list.map(({ key }) => key),
            { scope },
          );
          record.values = found.map(seen);
        },
      );
    },
  ],
  getOrSetMany: [
    5,
    () => {
      const { scope, list } = several();
      return timed(
        'getOrSetMany',
        { is: 'read', places: list.map(({ place }) => place) },
        async (record) => {
          const values = await cache.getOrSetMany(
            list.map(({ key }) => key),
            (keys) => loadAll(keys.map((key) => `${nameOf(scope)}|${key}`)),
            { scope, ttl: 2 },
          );
          record.values = values.map(seen);
        },
      );
    },
  ],
  set: [
    6,
    (at) => {
      const id = newId();
      return change('set', { places: [at.place], id }, () =>
        cache.set(at.key, written(at, id, at.tag), { scope: at.scope, tags: at.tags, ttl: 2 }),
      );
    },
  ],
  setMany: [
    2,
    () => {
      const { scope, list } = several();
      const id = newId();
      return change('setMany', { places: list.map(({ place }) => place), id }, () =>
        cache.setMany(
          list.map((at) => [at.key, written(at, id)]),
          { scope, ttl: 2 },
        ),
      );
    },
  ],
  merge: [
    2,
    (at) => {
      const id = newId();
      return change('merge', { places: [at.place], id }, () =>
        cache.merge(at.key, written(at, id, at.tag), { scope: at.scope, tags: at.tags, ttl: 2 }),
      );
    },
  ],
  update: [
    2,
    (at) => {
      const id = newId();
      return change('update', { places: [at.place], id }, () =>
        cache.update(at.key, () => written(at, id, at.tag), {
          scope: at.scope,
          tags: at.tags,
          ttl: 2,
        }),
      );
    },
  ],
  increment: [
    4,
    () => {
      const scope = pick(SCOPES);
      const key = `n${below(2)}`;
      return timed(
        'increment',
        { is: 'count', places: [`${nameOf(scope)}|${key}`] },
        async (record) => {
          record.count = await cache.increment(key, { scope, ttl: 60 });
        },
      );
    },
  ],
  touch: [
    3,
    (at) =>
      timed('touch', { is: 'other', places: [at.place] }, () =>
        cache.touch(at.key, { scope: at.scope, ttl: 2 }),
      ),
  ],
  has: [
    2,
    (at) =>
      timed('has', { is: 'other', places: [at.place] }, () =>
        cache.has(at.key, { scope: at.scope }),
      ),
  ],
  delete: [
    6,
    (at) =>
      change('delete', { places: [at.place] }, () => cache.delete(at.key, { scope: at.scope })),
  ],
  deleteMany: [
    1,
    () => {
      const { scope, list } = several();
      return change('deleteMany', { places: list.map(({ place }) => place) }, () =>
        cache.deleteMany(
          list.map(({ key }) => key),
          { scope },
        ),
      );
    },
  ],
  evictScope: [
    1,
    () => {
      const scope = random() < 0.1 ? 'global' : pick(SCOPES.slice(1));
      return change('evictScope', { under: nameOf(scope) }, () => cache.evictScope(scope));
    },
  ],
  evictTags: [
    1,
    () => {
      const scope = pick(SCOPES);
      const tag = below(4);
      return change('evictTags', { under: nameOf(scope), tag }, () =>
        cache.evictTags([`t${tag}`], { scope }),
      );
    },
  ],
  clear: [0.15, () => change('clear', { under: '' }, () => cache.clear())],
};
const weights = Object.values(operations);
const total = weights.reduce((sum, [weight]) => sum + weight, 0);
function anyOperation() {
  let left = random() * total;
  return weights.find(([weight]) => (left -= weight) < 0)?.[1] ?? weights[0][1];
}

let isRunning = true;
async function caller() {
  while (isRunning) {
    await anyOperation()(anyPlace());
    await sleep(random() * 2 * plan.pauseMs);
  }
}

const say = (message) => process.connected && process.send(message);
const flush = () => {
  if (records.length > 0) say({ records });
  records = [];
};
const resources = () => {
  const counts = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
};
for (const event of ['unhandledRejection', 'uncaughtException'])
  process.on(event, (problem) => say({ unhandled: `${event}: ${problem?.stack ?? problem}` }));

const ticking = setInterval(() => {
  stalledMs = stalledSoFar();
  lastTick = now();
}, TICK_MS);
const flushing = setInterval(flush, 200);

const memory = () => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
};
await sleep(300);
const heapAtStart = memory();
say({ ready: true });
const callers = Array.from({ length: plan.callers }, caller);

async function finish() {
  isRunning = false;
  await Promise.all(callers);
  await sleep(plan.idleMs);
  flush();
  clearInterval(flushing);
  clearInterval(ticking);
  const stats = await cache.stats();
  await sleep(50);
  say({ idle: { resources: resources(), heapAtStart, heap: memory(), faults, stats } });
  const start = now();
  await app.close();
  say({ closed: now() - start });
  process.disconnect();
  setTimeout(tellWhatIsLeft, 2_000).unref();
}

/** Nothing should be: what keeps a process from ending is said on its standard error. */
function tellWhatIsLeft() {
  const sockets = process
    ._getActiveHandles()
    .map(
      (one) =>
        `${one.constructor.name} ${one.localPort ?? ''} ${one.remotePort ?? ''} ${one.connecting ?? ''}`,
    );
  console.error(`${plan.name} is still there:`, process.getActiveResourcesInfo().join(), sockets);
}
process.once('message', () => void finish());
