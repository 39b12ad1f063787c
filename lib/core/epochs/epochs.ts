import type { Envelope } from '../envelope.js';
import type { KeyLocks } from '../key-locks.js';
import type { ScopePath } from '../scope.js';
import type { BasicStorage, StorageHost } from '../storage.js';
import type { PhysicalKeys } from './physical-keys.js';

/** Physical key → token, of every epoch that an entry depends on. */
export type EpochTokens = Readonly<Record<string, string>>;

/** The epochs of scope nodes, and of tags at nodes: random tokens, each under a key of its own. Forgetting one evicts. */
export class Epochs {
  constructor(
    readonly inner: BasicStorage,
    readonly host: StorageHost,
    readonly keys: PhysicalKeys,
    readonly locks: KeyLocks,
  ) {}

  /** Those of the scope's path, and of the tags at each of its nodes. Missing ones are made with `create`, else `''`. */
  async current(
    scope: ScopePath,
    tags: readonly string[],
    create: 'create' | undefined,
  ): Promise<EpochTokens> {
    const keys = scope
      .lineage()
      .flatMap((node) => [this.keys.scope(node), ...tags.map((tag) => this.keys.tag(node, tag))]);
    const tokens = await Promise.all(
      keys.map(async (key) => [key, await this.#token(key, create)] as const),
    );
    return Object.fromEntries(tokens);
  }

  /** Answers what it forgot; nothing when there was none. By that, whoever counts afterwards tells what the eviction took. */
  forgetScope(scope: ScopePath): Promise<EpochTokens> {
    return this.#forget([this.keys.scope(scope)]);
  }

  /** As {@link forgetScope}. */
  forgetTags(scope: ScopePath, tags: readonly string[]): Promise<EpochTokens> {
    return this.#forget(tags.map((tag) => this.keys.tag(scope, tag)));
  }

  #token(key: string, create: 'create' | undefined): Promise<string> {
    return this.locks.run(key, async () => {
      const bytes = await this.inner.get(key);
      if (bytes) return new TextDecoder().decode(bytes);
      if (!create) return '';
      const token = this.host.randomToken();
      await this.inner.set(key, new TextEncoder().encode(token), Infinity);
      return token;
    });
  }

  async #forget(keys: readonly string[]): Promise<EpochTokens> {
    const forgotten = await Promise.all(
      keys.map((key) =>
        this.locks.run(key, async () => {
          const bytes = await this.inner.get(key);
          await this.inner.delete(key);
          return bytes ? [[key, new TextDecoder().decode(bytes)] as const] : [];
        }),
      ),
    );
    return Object.fromEntries(forgotten.flat());
  }
}

/** Every epoch that the place and its tags depend on must have been recorded with the entry, and still be the same. */
export function isRecorded(
  current: EpochTokens,
  envelope: Envelope,
  forgotten: EpochTokens = {},
): boolean {
  const recorded = JSON.parse(envelope.extra) as EpochTokens;
  return Object.entries(current).every(([key, token]) => {
    const needed = forgotten[key] ?? token;
    return needed !== '' && recorded[key] === needed;
  });
}
