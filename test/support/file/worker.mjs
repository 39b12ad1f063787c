/** A process of its own that uses the file storage: `node worker.mjs LIB COMMAND ARGUMENTS…`. */
import { deserialize, serialize } from 'node:v8';
import { join } from 'node:path';

const [lib, command, ...args] = process.argv.slice(2);
const { fileStorage, writeSnapshot } = await import(join(lib, 'file.js'));
const { ScopeTree } = await import(join(lib, 'core/scope.js'));
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
const entry = (value, over) => ({ value, ttlMs: 600_000, graceMs: 0, sliding: false, tags: [], ...over });
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const code = (error) => error?.cause?.code ?? error?.code ?? error?.message;

const commands = {
  /** Many writes of many kinds to a few keys; every value names its key and checks itself. */
  async churn(directory, id, rounds) {
    const store = fileStorage({ directory }).open(host);
    let torn = 0;
    for (let round = 0; round < Number(rounds); round++) {
      const key = `k${round % 7}`;
      await store.write(at(key), entry({ key, text: `${id}:${round}:`.repeat(500) }));
      const seen = (await store.read(at(`k${(round + 3) % 7}`)))?.value;
      if (seen && (seen.key !== `k${(round + 3) % 7}` || new Set(seen.text.match(/\d+:\d+:/g)).size !== 1)) torn++;
      await store.increment(at('counter'), 1, 600_000);
      await store.change(at('merged'), (current) => ({ write: entry({ ...current?.value, [`${id}-${round}`]: true }) }));
      await store.write(at(`own-${id}-${round}`, { org: 'o', user: id }), entry(round));
    }
    await store.close();
    say({ torn, faults: faults.length });
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
  async write(directory, key, size, options = '{}') {
    const store = fileStorage({ directory, ...JSON.parse(options) }).open(host);
    say('open');
    try {
      await store.write(at(key), entry({ version: 2, filler: Buffer.alloc(Number(size), 50) }));
      say('written');
    } catch (error) {
      say(`failed ${code(error)}`);
    }
    const seen = await store.read(at(key)).catch((error) => ({ value: { version: code(error) } }));
    say(`reads ${seen?.value.version}`);
    await store.close().catch((error) => say(`close ${code(error)}`));
  },
  async dump(file, count, version = '2') {
    const filler = Buffer.alloc(100, 50);
    const records = Array.from({ length: Number(count) }, (_, index) => serialize({ version: Number(version), index, filler }));
    say('open');
    try {
      await writeSnapshot(file, records, { dumpedAt: Date.now(), backups: 2 });
      say('written');
    } catch (error) {
      say(`failed ${code(error)}`);
    }
  },
};

await commands[command](...args);
