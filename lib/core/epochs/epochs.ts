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

  forgetScope(scope: ScopePath): Promise<void> {
    return this.#forget(this.keys.scope(scope));
  }

  async forgetTags(scope: ScopePath, tags: readonly string[]): Promise<void> {
    await Promise.all(tags.map((tag) => this.#forget(this.keys.tag(scope, tag))));
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

  #forget(key: string): Promise<void> {
    return this.locks.run(key, async () => this.inner.delete(key));
  }
}

/** Every epoch that the place and its tags depend on must have been recorded with the entry, and still be the same. */
export function isRecorded(current: EpochTokens, envelope: Envelope): boolean {
  const recorded = JSON.parse(envelope.extra) as EpochTokens;
  return Object.entries(current).every(([key, token]) => token !== '' && recorded[key] === token);
}
