import type { Slots } from './slots.js';

/**
 * One piece of work on a key at a time: in this process by turns, between processes by the key's slot. Empty when idle.
 */
export class KeyGate {
  readonly #tails = new Map<string, Promise<void>>();

  constructor(
    readonly slots: Slots,
    /** Told when a slot could not be given back. */
    readonly onFault: (error: unknown) => void,
  ) {}

  get size(): number {
    return this.#tails.size;
  }

  /** Whether somebody, in whatever process, has the key to itself at this moment. */
  isTaken(slot: string): boolean {
    return this.slots.isTaken(slot);
  }

  /** `work` by turns in this process only: for work that copes with what other processes do meanwhile. */
  async turn<T>(slot: string, work: () => Promise<T>): Promise<T> {
    const { before, done } = this.#queue(slot);
    try {
      if (before) await before;
      return await work();
    } finally {
      done();
    }
  }

  /** Resolves as soon as `work` has; giving the slot back goes on meanwhile, and whoever comes next waits for it. */
  run<T>(slot: string, work: () => Promise<T>): Promise<T> {
    const { before, done } = this.#queue(slot);
    return this.#takeTurn(slot, before, work, done);
  }

  /** Resolves when all that has begun is over. */
  async whenIdle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }

  #queue(slot: string): { before: Promise<void> | undefined; done: () => void } {
    const before = this.#tails.get(slot);
    let end!: () => void;
    const mine = new Promise<void>((resolve) => (end = resolve));
    this.#tails.set(slot, mine);
    const done = (): void => {
      if (this.#tails.get(slot) === mine) this.#tails.delete(slot);
      end();
    };
    return { before, done };
  }

  async #takeTurn<T>(
    slot: string,
    before: Promise<void> | undefined,
    work: () => Promise<T>,
    done: () => void,
  ): Promise<T> {
    try {
      if (before) await before;
      await this.slots.acquire(slot);
    } catch (error) {
      done();
      throw error;
    }
    try {
      return await work();
    } finally {
      this.slots.release(slot).catch(this.onFault).finally(done);
    }
  }
}
