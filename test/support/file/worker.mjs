/** A process of its own that uses the file storage: `node worker.mjs LIB COMMAND ARGUMENTS…`. */
import { deserialize, serialize } from 'node:v8';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const [lib, command, ...args] = process.argv.slice(2);
const { fileStorage, readSnapshot, writeSnapshot } = await import(join(lib, 'file.js'));
const { ScopeTree } = await import(join(lib, 'core/scope-tree.js'));
const { nodePlatform } = await import(join(lib, 'platform/node-platform.js'));

const scopes = new ScopeTree(['org', 'user', 'session']);
const faults = [];
const host = {
  ...nodePlatform,
  namespace: 'cache',
  scopes,
  rules: [],
  serializer: { name: 'v8', serialize, deserialize },
  listener: { onFault: (fault) => faults.push(fault) },
};
const at = (key, selector = 'global') => ({ scope: scopes.pathOf(selector), key });
const entry = (value, over) => ({
  value,
  ttlMs: 600_000,
  graceMs: 0,
  sliding: false,
  tags: [],
  ...over,
});
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const code = (error) => error?.cause?.code ?? error?.code ?? error?.message;

const collect = async (items) => {
  const all = [];
  for await (const item of items) all.push(item);
  return all;
};
/** Lets the test attach to this process before it goes on. */
const ready = async () => {
  say('open');
  if (!process.env.WAIT) return;
  await new Promise((resolve) => process.stdin.once('data', resolve));
  process.stdin.destroy();
};
/** `read` and `write` under a fault, one line each. */
const probe = async (store, name, work) => {
  try {
    await work();
    say(`${name} ok`);
  } catch (error) {
    say(`${name} ${code(error)}`);
  }
};

const commands = {
  /** Many writes of many kinds to a few keys; every value names its key and checks itself. */
  async churn(directory, id, rounds) {
    const store = fileStorage({ directory }).open(host);
    let torn = 0;
    for (let round = 0; round < Number(rounds); round++) {
      const key = `k${round % 7}`;
      await store.write(at(key), entry({ key, text: `${id}:${round}:`.repeat(500) }));
      const seen = (await store.read(at(`k${(round + 3) % 7}`)))?.value;
      if (
        seen &&
        (seen.key !== `k${(round + 3) % 7}` || new Set(seen.text.match(/\d+:\d+:/g)).size !== 1)
      )
        torn++;
      await store.increment(at('counter'), 1, 600_000);
      await store.change(at('merged'), (current) => ({
        write: entry({ ...current?.value, [`${id}-${round}`]: true }),
      }));
      await store.write(at(`own-${id}-${round}`, { org: 'o', user: id }), entry(round));
    }
    await store.close();
    say({ torn, faults: faults.length });
  },
  /**
   * Writes and removes one key of its own, while changing those of the others from what is there. Whoever has resolved a
   * write must find nothing older, and after a removal nothing at all.
   */
  async meddle(directory, id, others, rounds) {
    // A machine that is busy with other tests must not decide.
    const store = fileStorage({ directory, lockTimeout: '30s' }).open(host);
    let older = 0;
    let isOver = false;
    const meddling = others.split(',').map(async (other) => {
      while (!isOver) {
        await store.change(at(`of-${other}`), (current) =>
          current ? { write: entry({ ...current.value, by: id }) } : { keep: true },
        );
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    });
    for (let round = 0; round < Number(rounds); round++) {
      await store.write(at(`of-${id}`), entry({ round }));
      if ((await store.read(at(`of-${id}`)))?.value.round !== round) older++;
      if (round % 3 === 0) {
        await store.remove(at(`of-${id}`));
        if (await store.read(at(`of-${id}`))) older++;
      }
    }
    isOver = true;
    await Promise.all(meddling);
    await store.close();
    say({ older, faults: faults.length });
  },
  async hold(directory, key) {
    const store = fileStorage({ directory }).open(host);
    await store.parts.gate.slots.acquire(store.parts.layout.placeOf(at(key)).slot);
    say('held');
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  },
  async lease(directory, key, ms) {
    const store = fileStorage({ directory }).open(host);
    say((await store.leases.acquire(at(key), Number(ms))).kind);
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  },
  /** Replaces version 1 by version 2, and says what is there then. */
  async write(directory, key, size, options = '{}') {
    const store = fileStorage({ directory, ...JSON.parse(options) }).open(host);
    await ready();
    await probe(store, 'write', () =>
      store.write(at(key), entry({ version: 2, filler: Buffer.alloc(Number(size), 50) })),
    );
    const seen = await store.read(at(key));
    say(`reads ${seen?.value.version}`);
    await probe(store, 'close', () => store.close());
  },
  /** As `write`, on a disk that has nothing yet. */
  async fill(directory, size) {
    const store = fileStorage({ directory }).open(host);
    await store.write(at('k'), entry({ version: 1 }));
    await store.close();
    await commands.write(directory, 'k', size);
    const file = join(directory, 'cache.snap');
    await commands.dump(file, '10', '1');
    await commands.dump(file, '10000');
    const [first] = await collect(readSnapshot(file));
    say(`snapshot ${deserialize(first).version}`);
    const left = readdirSync(directory, { recursive: true }).filter((name) =>
      name.endsWith('.tmp'),
    );
    say(`left ${left.length}`);
  },
  async exhaust(directory) {
    const store = fileStorage({ directory }).open(host);
    await store.write(at('k'), entry({ version: 1 }));
    const fds = [];
    try {
      for (;;) fds.push(openSync('/dev/null'));
    } catch (error) {
      say(code(error));
    }
    await probe(store, 'read', () => store.read(at('k')));
    await probe(store, 'write', () => store.write(at('k'), entry({ version: 2 })));
    for (const fd of fds) closeSync(fd);
    say(`reads ${(await store.read(at('k')))?.value.version}`);
    await probe(store, 'write', () => store.write(at('k'), entry({ version: 3 })));
    await store.close();
  },
  async dump(file, count, version = '2') {
    const filler = Buffer.alloc(100, 50);
    const records = Array.from({ length: Number(count) }, (_, index) =>
      serialize({ version: Number(version), index, filler }),
    );
    await ready();
    await probe(undefined, 'dump', () =>
      writeSnapshot(file, records, { dumpedAt: Date.now(), backups: 2 }),
    );
  },
};

await commands[command](...args);
