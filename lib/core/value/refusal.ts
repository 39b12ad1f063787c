import { describe, SerializationError } from '../errors.js';

/**
 * Why a value cannot be stored, on its way up to the call. The path grows as it passes through the levels, so that
 * values which can be stored never pay for paths.
 */
export class Refusal extends Error {
  readonly #steps: string[] = [];

  /**
   * @param what follows the path: `is a function (load), which cannot be stored`
   * @param remedy a sentence
   */
  constructor(
    readonly what: string,
    readonly remedy: string,
    options?: { cause?: unknown },
  ) {
    super(what, options);
  }

  /** Adds the step that led here; steps are added from the inside out. */
  under(step: string): this {
    if (step !== '') this.#steps.push(step);
    return this;
  }

  /** Like `$.user.avatar[3]`; the middle of a long one is left out. */
  get path(): string {
    const steps = this.#steps.toReversed();
    const shown = steps.length <= 12 ? steps : [...steps.slice(0, 6), '…', ...steps.slice(-5)];
    return `$${shown.join('')}`;
  }
}

/** What reading or making a value threw, as a refusal, with the step that led to it. */
export function refusedUnder(thrown: unknown, step: string): Refusal {
  return asRefusal(thrown).under(step);
}

/** The error that callers see. Values do not appear in it, only their kinds and the names on the path. */
export function serializationError(thrown: unknown, where: string): SerializationError {
  const { path, what, remedy, cause } = asRefusal(thrown);
  return new SerializationError(
    `Cannot store ${where}: ${path} ${what}. ${remedy}`,
    cause === undefined ? undefined : { cause },
  );
}

/** The step to a property, as one would write it. */
export function fieldStep(name: string): string {
  if (/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) && name.length <= 40) return `.${name}`;
  return `[${JSON.stringify(name.length <= 40 ? name : `${name.slice(0, 39)}…`)}]`;
}

/** The refusal of a value that is of no storable kind. */
export function unstorable(value: unknown): Refusal {
  return new Refusal(`is ${kindInWords(value)}, which cannot be stored`, remedyFor(value));
}

/** The refusal of a value that has, beside its data, something that a copy would lose. */
export function hiddenPart(part: string): Refusal {
  return new Refusal(
    `has ${part}, which would be lost`,
    'Store a plain object or array that holds only data.',
  );
}

/** The refusal of a value that holds itself. */
export function cyclic(): Refusal {
  return new Refusal(
    'contains itself',
    'Break the circle, for example by storing an id in place of the object.',
  );
}

/** The refusal of a value nested too deep. */
export function tooDeep(levels: number): Refusal {
  return new Refusal(`is nested more than ${levels} levels deep`, 'Store a flatter value.');
}

/** The refusal of a value that holds few objects in so many places that its copy would fill the memory. */
export function repeated(times: number): Refusal {
  return new Refusal(
    `holds the same objects more than ${times} times over`,
    'Each place gets a copy of its own: store an object once, and its id in the other places.',
  );
}

function asRefusal(thrown: unknown): Refusal {
  if (thrown instanceof Refusal) return thrown;
  if (thrown instanceof RangeError && /call stack/i.test(thrown.message))
    return new Refusal('is nested deeper than the stack can take here', 'Store a flatter value.');
  return new Refusal('threw when it was read', 'See the cause.', { cause: thrown });
}

const BOXES: ReadonlySet<string> = new Set(['Number', 'String', 'Boolean', 'BigInt', 'Symbol']);

function kindInWords(value: unknown): string {
  if (typeof value !== 'object' || value === null) return describe(value);
  const tag = Object.prototype.toString.call(value).slice('[object '.length, -1);
  if (BOXES.has(tag)) return `a boxed ${tag}`;
  if (isPromise(value)) return 'a promise';
  if (isStream(value)) return `a stream (${describe(value).replace('an instance of ', '')})`;
  // The array's length would say nothing about why an instance of a subclass is refused.
  if (Array.isArray(value)) return `an instance of ${value.constructor.name}`;
  return describe(value);
}

function remedyFor(value: unknown): string {
  if (typeof value !== 'object' || value === null)
    return 'Leave it out, or store data that it can be made from.';
  if (isPromise(value)) return 'Await it first.';
  if (isStream(value)) return 'Read it to its end and store its content.';
  return 'Name its class with type: () => TheClass, register a codec for it, or store a plain object.';
}

function isPromise(value: object): boolean {
  return typeof (value as { then?: unknown }).then === 'function';
}

function isStream(value: object): boolean {
  const stream = value as { pipe?: unknown; getReader?: unknown };
  return typeof stream.pipe === 'function' || typeof stream.getReader === 'function';
}
