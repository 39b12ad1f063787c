import { globalOf } from './kinds.js';

/** What an error holds, as plain data. */
export interface ErrorParts {
  /** `message`, `stack`, `name`, `cause` and `errors`, as far as it has them itself and hides them from listings. */
  readonly hidden: object;
  /** Everything else it has. */
  readonly shown: object;
}

const HIDDEN = ['name', 'message', 'stack', 'cause', 'errors'] as const;

export function errorParts(error: object): ErrorParts {
  const hidden: Record<string, unknown> = {};
  const shown = { ...error };
  for (const name of HIDDEN)
    if (Object.hasOwn(error, name) && !Object.hasOwn(shown, name))
      hidden[name] = (error as Record<string, unknown>)[name];
  return { hidden, shown };
}

/** An error of a standard class with these parts, and no others: no stack of its own. */
export function errorFrom(className: string, { hidden, shown }: ErrorParts): Error {
  const type = globalOf(className) as new (first?: unknown) => Error;
  const error = className === 'AggregateError' ? new type([]) : new type();
  for (const name of HIDDEN) {
    const part = Object.getOwnPropertyDescriptor(hidden, name);
    if (part) Object.defineProperty(error, name, { ...part, enumerable: false });
    else delete (error as unknown as Record<string, unknown>)[name];
  }
  return Object.defineProperties(error, Object.getOwnPropertyDescriptors(shown)) as Error;
}
