import type { Clock } from '../clock.js';
import { StorageUnavailableError } from '../errors.js';

/**
 * The result of `work`, or a StorageUnavailableError after `ms`. The late result, or its error, is dropped: whoever calls
 * this must make sure that nothing depends on it.
 */
export function withDeadline<T>(
  clock: Clock,
  ms: number,
  during: string,
  work: Promise<T>,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const stop = clock.after(ms, () => reject(tooSlow(during, ms)));
    work.then(
      (value) => {
        stop();
        resolve(value);
      },
      (error: unknown) => {
        stop();
        reject(error as Error);
      },
    );
  });
}

/** A deadline that stands still while somebody else's code runs. */
export class PausableDeadline {
  #stop: (() => void) | undefined;
  #leftMs: number;
  #since = 0;
  #reject!: (error: Error) => void;
  readonly #expired: Promise<never>;

  constructor(
    readonly clock: Clock,
    readonly ms: number,
    readonly during: string,
  ) {
    this.#leftMs = ms;
    this.#expired = new Promise<never>((_, reject) => (this.#reject = reject));
    this.#expired.catch(() => undefined);
  }

  /** Goes on with what is left. */
  resume(): void {
    this.pause();
    this.#since = this.clock.monotonic();
    this.#stop = this.clock.after(Math.max(0, this.#leftMs), () =>
      this.#reject(tooSlow(this.during, this.ms)),
    );
  }

  pause(): void {
    if (!this.#stop) return;
    this.#stop();
    this.#stop = undefined;
    this.#leftMs -= this.clock.monotonic() - this.#since;
  }

  /** `work`, or the rejection when time ran out first. */
  async race<T>(work: Promise<T>): Promise<T> {
    this.resume();
    try {
      return await Promise.race([work, this.#expired]);
    } finally {
      this.pause();
    }
  }
}

function tooSlow(during: string, ms: number): StorageUnavailableError {
  return new StorageUnavailableError(
    `${during} took longer than ${ms} ms. Raise storageTimeout if the storage is just slow.`,
  );
}
