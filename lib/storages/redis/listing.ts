import { isFresh } from '../../core/entry.js';
import type { ScopePath } from '../../core/scope.js';
import type { ListedEntry, ListOptions, StorageHost } from '../../core/storage.js';
import type { Commands } from './commands.js';
import type { Layout, ScopeKeys } from './layout.js';
import type { Reader } from './reader.js';
import { EntryRecord } from './record.js';
import type { ScopeWork } from './scope-work.js';

/** Walks an index in batches. Names of members may be hashed, so places come from the envelopes. */
export class Listing {
  constructor(
    readonly host: StorageHost,
    readonly commands: Commands,
    readonly layout: Layout,
    readonly reader: Reader,
    readonly work: ScopeWork,
  ) {}

  async *list(scope: ScopePath, options: ListOptions): AsyncGenerator<ListedEntry> {
    for (const keys of this.layout.nodes(scope)) {
      for await (const names of this.work.members(keys)) {
        const own = options.deep ? names : names.filter((name) => mayBelongTo(name, scope));
        if (own.length > 0) yield* await this.#entries(keys, scope, options, own);
      }
    }
  }

  async #entries(
    keys: ScopeKeys,
    scope: ScopePath,
    options: ListOptions,
    names: readonly string[],
  ): Promise<ListedEntry[]> {
    const values = await this.commands.mget(
      keys.bucket,
      names.map((name) => `${keys.base}e:${name}`),
    );
    const listed = await Promise.all(values.map((bytes) => this.#entry(bytes, scope, options)));
    return listed.filter((line) => line !== undefined);
  }

  async #entry(
    bytes: Buffer | null,
    scope: ScopePath,
    { deep, keysOnly }: ListOptions,
  ): Promise<ListedEntry | undefined> {
    const record = EntryRecord.decode(bytes, this.reader.checksum);
    const envelope = record && this.reader.named(record);
    const path = envelope && this.host.scopes.parse(envelope.scope);
    const isWanted = path && (deep ? path.isWithin(scope) : path.id === scope.id);
    if (!isWanted) return undefined;
    const address = { scope: path, key: envelope.key };
    const found = await this.reader.find(this.layout.place(address));
    if (!found || !isFresh(found.entry, this.host.clock.monotonic())) return undefined;
    return { address, entry: keysOnly ? { ...found.entry, value: undefined } : found.entry };
  }
}

/** Readable names begin with their scope; hashed ones must be looked at. */
function mayBelongTo(name: string, scope: ScopePath): boolean {
  return name.startsWith(`${scope.id}|`) || name.startsWith('#');
}
