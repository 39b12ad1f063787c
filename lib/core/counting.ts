import { InvalidOptionsError, typeInWords } from './errors.js';
import type { EntryAddress } from './storage.js';

/**
 * What a counter holds after an addition.
 * @param current what is there; 0 where there is nothing
 * @throws InvalidOptionsError for what cannot be counted with, and for a sum that could not be counted on from
 */
export function counted({ key, scope }: EntryAddress, current: unknown, by: number): number {
  if (typeof current !== 'number' || !Number.isFinite(current))
    throw new InvalidOptionsError(
      `increment: ${key} in scope ${scope} holds ${typeInWords(current)}, which cannot be counted with: only finite numbers can. Use another key, or set it to a number first.`,
    );
  const sum = current + by;
  if (Number.isFinite(sum)) return sum;
  throw new InvalidOptionsError(
    `increment: ${key} in scope ${scope} would be ${sum}, which is beyond what a number can hold. It was left as it is.`,
  );
}
