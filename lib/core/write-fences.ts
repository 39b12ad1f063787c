import type { ScopePath } from './scope.js';
import type { Awaitable, EntryAddress } from './storage.js';

/** What happened to some entries: a key was written or removed, a subtree evicted, or tags in a subtree. */
interface Change {
  readonly scope: ScopePath;
  /** `undefined`: the whole subtree, or what carries one of `tags` in it. */
  readonly key: string | undefined;
  readonly tags: readonly string[] | undefined;
  /** Whose own write this is. */
  readonly by: WriteFence | undefined;
}

/** A fenced write that was handed to the storage, together with its removal if it is overtaken on the way. */
interface SentWrite {
  readonly fence: WriteFence;
  readonly at: EntryAddress;
  readonly tags: readonly string[];
  readonly end: Promise<unknown>;
}

/** More changes than this during one slow write, and all writes under way count as overtaken: that costs a miss each. */
const CHANGES_MAX = 10_000;

/**
 * Says of a value that is still being made whether something newer has happened to the entry it is for (P5). Unlike a
 * flight it needs no key: a `@CachePut` often learns its key from the result.
 */
export class WriteFence {
  constructor(
    readonly fences: WriteFences,
    /** The first change that came after it was taken. */
    readonly from: number,
    /** It is for an atomic change, which storages keep apart from each other by themselves. */
    readonly isAtomic: boolean,
  ) {}

  /** Whether the entry was written, removed or evicted since, by anybody else, or one of its tags evicted. */
  isOvertaken(at: EntryAddress, tags: readonly string[]): boolean {
    return this.fences.hasOvertaken(this, at, tags);
  }

  /** To be called once, when its value is stored or given up. */
  close(): void {
    this.fences.close(this);
  }
}

/**
 * The writes under way whose values are still being made, and what has changed meanwhile. Empty when there are none (P16);
 * changes cost nothing then.
 */
export class WriteFences {
  readonly #open = new Set<WriteFence>();
  readonly #sent = new Set<SentWrite>();
  #changes: Change[] = [];
  /** How many changes were dropped from the front of the list. */
  #dropped = 0;

  get isIdle(): boolean {
    return this.#open.size === 0 && this.#sent.size === 0;
  }

  /** How many changes it remembers. */
  get size(): number {
    return this.#changes.length;
  }

  open(isAtomic = false): WriteFence {
    const fence = new WriteFence(this, this.#dropped + this.#changes.length, isAtomic);
    this.#open.add(fence);
    return fence;
  }

  close(fence: WriteFence): void {
    this.#open.delete(fence);
    if (this.#open.size > 0) return;
    this.#changes = [];
    this.#dropped = 0;
  }

  /** Remembers the write until it ends. The fence must stay open as long. */
  async track<T>(
    fence: WriteFence,
    at: EntryAddress,
    tags: readonly string[],
    end: Promise<T>,
  ): Promise<T> {
    const sent = { fence, at, tags, end };
    this.#sent.add(sent);
    try {
      return await end;
    } finally {
      this.#sent.delete(sent);
    }
  }

  /**
   * The outcome of a change, once the writes that it overtook on their way have ended and taken back what they brought. It
   * is not over before that: its caller could find the older value (P5).
   */
  async settled<T>(change: Awaitable<T>): Promise<T> {
    try {
      return await change;
    } finally {
      if (this.#sent.size > 0) await this.#overtakenWrites();
    }
  }

  noteKey(at: EntryAddress, by: WriteFence | undefined): void {
    if (this.#open.size > 0) this.#note({ scope: at.scope, key: at.key, tags: undefined, by });
  }

  noteScope(scope: ScopePath, tags?: readonly string[]): void {
    if (this.#open.size > 0) this.#note({ scope, key: undefined, tags, by: undefined });
  }

  hasOvertaken(fence: WriteFence, at: EntryAddress, tags: readonly string[]): boolean {
    const first = fence.from - this.#dropped;
    if (first < 0) return true;
    for (let index = first; index < this.#changes.length; index++) {
      const change = this.#changes[index]!;
      const isOwn = change.by === fence || (fence.isAtomic && change.by?.isAtomic === true);
      if (!isOwn && concerns(change, at, tags)) return true;
    }
    return false;
  }

  #overtakenWrites(): Promise<unknown> {
    const overtaken = [...this.#sent].filter(({ fence, at, tags }) =>
      this.hasOvertaken(fence, at, tags),
    );
    return Promise.allSettled(overtaken.map(({ end }) => end));
  }

  #note(change: Change): void {
    if (this.#changes.length >= CHANGES_MAX) {
      this.#dropped += this.#changes.length;
      this.#changes = [];
    }
    this.#changes.push(change);
  }
}

function concerns(change: Change, at: EntryAddress, tags: readonly string[]): boolean {
  if (!at.scope.isWithin(change.scope)) return false;
  if (change.key !== undefined)
    return change.key === at.key && change.scope.ids.length === at.scope.ids.length;
  return change.tags === undefined || change.tags.some((tag) => tags.includes(tag));
}
