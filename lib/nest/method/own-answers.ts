import { isPromise } from '../../core/guard.js';
import { describe, InvalidKeyError, InvalidOptionsError } from '../../core/errors.js';

/**
 * What a function of the application answered, which has to be there at once.
 *
 * A promise is refused. What becomes of it is nobody's concern any more: if it rejects, unheard, it must not end the process.
 * @param option its name, for the message
 * @throws InvalidOptionsError for a promise
 */
export function atOnce<T>(answer: T, option: string): T {
  if (!isPromise(answer)) return answer;
  (answer as Promise<unknown>).then(undefined, () => undefined);
  throw new InvalidOptionsError(
    `${option}: its function answered with a promise, and must answer at once. Find out what it waits for beforehand, in a guard for example.`,
  );
}

/**
 * The tags that a function of the application named.
 * @throws InvalidKeyError for what is no list; a string would fall apart into its characters
 */
export function tagsAtOnce(answer: unknown): readonly string[] {
  const tags = atOnce(answer, 'tags');
  if (Array.isArray(tags)) return tags as readonly string[];
  throw new InvalidKeyError(
    `tags: expected its function to return a list of strings, got ${describe(tags)}.`,
  );
}
