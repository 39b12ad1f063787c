import { describe, InvalidOptionsError } from './errors.js';

/**
 * Refuses what is no object of options, and names that nobody knows: a misspelt option would silently be its default.
 * @param what whose options they are, for the message
 */
export function checkKnown(what: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null)
    throw new InvalidOptionsError(
      `${what}: expected an object of options, got ${describe(given)}.`,
    );
  for (const name of Object.keys(given))
    if (!known.includes(name))
      throw new InvalidOptionsError(
        `${what}: unknown option "${name}". Known: ${known.join(', ')}.`,
      );
}
