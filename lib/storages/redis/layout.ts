import type { ScopePath } from '../../core/scope.js';
import type { EntryAddress, StorageHost } from '../../core/storage.js';
import { bucketOf, bucketTags } from './slots.js';

/**
 * Names on the server. `<prefix>:<namespace>:{<bucket>}:` and then
 *
 *     e:<name>        entry             l:<name>        lease on it
 *     n:<scope>       node: epoch, fence of tag evictions, epoch of the parent
 *     i:<epoch>       index: entries of the node's subtree by expiry    i:<epoch>:<tag>  those with a tag
 *     t:<epoch>:<tag> epoch of a tag    g   indexes whose entries wait to be reclaimed    c:<index>  its count, as asked for
 *
 * Only our own text can choose a slot: the first braces are the bucket's. Names are readable up to 200 bytes, hashed above.
 */
export class Layout {
  readonly #globals: readonly ScopeKeys[];
  readonly #scopes = new Map<string, ScopeKeys>();

  /** @param keyPrefix what the client itself puts before keys; scripts must say it where the client does not see a key */
  constructor(
    readonly host: Pick<StorageHost, 'namespace' | 'digest'>,
    prefix: string,
    readonly keyPrefix: string,
  ) {
    const base = `${prefix}:${this.#namespace()}`;
    this.#globals = bucketTags().map((tag, bucket) =>
      this.#globalKeys(`${base}:{${tag}}:`, bucket),
    );
  }

  /** Where an entry is. */
  place(at: EntryAddress): Place {
    const name = this.#name(at);
    const { level } = at.scope;
    return new Place(at, name, level ? this.#scopeKeys(at.scope) : this.#globals[bucketOf(name)]!);
  }

  /** The nodes that stand for a scope: one, or one in each bucket for the global scope. */
  nodes(scope: ScopePath): readonly ScopeKeys[] {
    return scope.level ? [this.#scopeKeys(scope)] : this.#globals;
  }

  /** A tag in key names: 80 bits; two tags that shared them would only be evicted together. */
  tag(tag: string): string {
    return this.host.digest(JSON.stringify(tag)).slice(0, 20);
  }

  #namespace(): string {
    const { namespace } = this.host;
    const plain = /^[A-Za-z0-9_.-]{1,64}$/.test(namespace);
    return plain ? namespace : `#${this.host.digest(JSON.stringify(namespace)).slice(0, 40)}`;
  }

  #name({ scope, key }: EntryAddress): string {
    const name = `${scope.id}|${key}`;
    const isShort = name.length * 3 <= NAME_BYTES_MAX || Buffer.byteLength(name) <= NAME_BYTES_MAX;
    // UTF-8 would make one key of all lone surrogates.
    if (isShort && !LONE_SURROGATE.test(name)) return name;
    return `#${this.host.digest(JSON.stringify([scope.id, key]))}`;
  }

  #globalKeys(base: string, bucket: number): ScopeKeys {
    return { bucket, base, scriptBase: this.keyPrefix + base, nodes: [`${base}n:`] };
  }

  #scopeKeys(scope: ScopePath): ScopeKeys {
    const known = this.#scopes.get(scope.id);
    if (known) return known;
    if (this.#scopes.size >= SCOPES_KEPT) this.#scopes.clear();
    const lineage = scope.lineage().reverse();
    const { bucket, base, scriptBase } = this.#globals[bucketOf(lineage[1]!.id)]!;
    const nodes = lineage.map(
      ({ id }) => `${base}n:${id.length <= NAME_BYTES_MAX ? id : `#${this.host.digest(id)}`}`,
    );
    const keys: ScopeKeys = { bucket, base, scriptBase, nodes };
    this.#scopes.set(scope.id, keys);
    return keys;
  }
}

const NAME_BYTES_MAX = 200;
const SCOPES_KEPT = 4096;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** The keys of a scope within one bucket. */
export interface ScopeKeys {
  readonly bucket: number;
  /** Before every key of the bucket, as given to the client. */
  readonly base: string;
  /** The same as the server sees it. */
  readonly scriptBase: string;
  /** Node keys, global first, this scope last. */
  readonly nodes: readonly string[];
}

/** The keys of one entry. */
export class Place {
  constructor(
    readonly at: EntryAddress,
    /** Member of the indexes, and the last part of the key. */
    readonly name: string,
    readonly scope: ScopeKeys,
  ) {}

  get entryKey(): string {
    return `${this.scope.base}e:${this.name}`;
  }

  get leaseKey(): string {
    return `${this.scope.base}l:${this.name}`;
  }

  /** Its lease as the server sees it. */
  get serverLeaseKey(): string {
    return `${this.scope.scriptBase}l:${this.name}`;
  }

  /** As all scripts on one entry want them. */
  get keys(): string[] {
    return [this.entryKey, this.leaseKey, ...this.scope.nodes];
  }
}
