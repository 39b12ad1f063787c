import type { StoredEntry } from './entry.js';

/**
 * What a bulk read of several tiers rejects with when one of them failed: what the others have. The caller is told of the
 * fault as of any other; what was there all the same need not be lost with it.
 */
export class PartialRead extends Error {
  /**
   * @param entries in the order asked for; `undefined` for what is not there, or could not be read
   * @param cause the fault
   */
  constructor(
    readonly entries: readonly (StoredEntry | undefined)[],
    cause: unknown,
  ) {
    super('Not all of it could be read.', { cause });
  }
}
