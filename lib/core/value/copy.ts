import { describe, SerializationError } from '../errors.js';
import type { ClassCodecs } from './class-codecs.js';
import { constructorName, kindOf } from './kinds.js';

/** Nesting at most; a value that contains itself ends here too. */
export const DEPTH_MAX = 1_000;

/**
 * A deep copy of what a caller passed in. Refuses by name, with its path, what could not come back as itself: functions,
 * symbols, instances of classes without a codec, promises, streams, cycles, symbol keys and hidden properties. Getters
 * are read. One object in two places becomes two.
 * @throws SerializationError
 */
export function copyIn(value: unknown, codecs: ClassCodecs, where: string): unknown {
  switch (typeof value) {
    case 'object':
      return value === null ? null : new Admission(codecs, where).copy(value, 0, '$');
    case 'function':
    case 'symbol':
      throw refused(value, '$', where);
    default:
      return value;
  }
}

/** A deep copy of what `copyIn` made: the same, without its checks. */
export function copyOut(value: unknown, codecs: ClassCodecs): unknown {
  return typeof value === 'object' && value !== null ? copyTrusted(value, codecs) : value;
}

/** Spreading and slicing copy a whole object at once; only nested objects then need a visit. */
function copyTrusted(value: object, codecs: ClassCodecs): unknown {
  if (Array.isArray(value)) {
    const copy = value.slice() as unknown[];
    for (let at = 0; at < copy.length; at++) {
      const item = copy[at];
      if (typeof item === 'object' && item !== null) copy[at] = copyTrusted(item, codecs);
    }
    return copy;
  }
  if (Object.getPrototypeOf(value) === Object.prototype) {
    const copy = { ...value } as Record<string, unknown>;
    for (const name in copy) {
      const field = copy[name];
      if (typeof field === 'object' && field !== null) copy[name] = copyTrusted(field, codecs);
    }
    return copy;
  }
  return copySpecial(value, codecs, (inner) => copyOut(inner, codecs));
}

/** Copies of everything but arrays and plain objects; `undefined` for what is none of these. */
function copySpecial(
  value: object,
  codecs: ClassCodecs,
  copyInner: (inner: unknown, step: string) => unknown,
): unknown {
  const codec = codecs.ofInstance(value);
  if (codec) return codec.decode(copyInner(codec.encode(value), ''));
  switch (kindOf(value)) {
    case 'plain':
      return copyFields(
        value,
        Object.getPrototypeOf(value) === null ? (Object.create(null) as object) : {},
        copyInner,
      );
    case 'Date':
      return new Date((value as Date).getTime());
    case 'Map':
      return new Map(
        [...(value as Map<unknown, unknown>)].map(([key, item], at) => [
          copyInner(key, `<key ${at}>`),
          copyInner(item, `<value ${at}>`),
        ]),
      );
    case 'Set':
      return new Set(
        [...(value as Set<unknown>)].map((item, at) => copyInner(item, `<item ${at}>`)),
      );
    case 'RegExp':
      return new RegExp((value as RegExp).source, (value as RegExp).flags);
    case 'URL':
      return new URL((value as URL).href);
    case 'Error':
      return copyError(value as Error, copyInner);
    case 'ArrayBuffer':
      return (value as ArrayBuffer).slice(0);
    case 'Buffer':
      return copyBuffer(value as Uint8Array);
    case 'bytes':
      return copyView(value as Uint8Array | DataView);
    default:
      return undefined;
  }
}

function copyFields(
  from: object,
  to: object,
  copyInner: (inner: unknown, step: string) => unknown,
): object {
  for (const name of Object.keys(from))
    define(to, name, copyInner((from as Record<string, unknown>)[name], `.${name}`));
  return to;
}

/** Defines rather than assigns: `__proto__` stays an ordinary field. */
function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

/** An empty error of the standard class of that name. */
export function emptyError(name: string): Error {
  const known = (globalThis as unknown as Record<string, new (...args: unknown[]) => Error>)[name]!;
  return name === 'AggregateError' ? new known([]) : new known();
}

function copyError(error: Error, copyInner: (inner: unknown, step: string) => unknown): Error {
  const copy = emptyError(constructorName(error));
  for (const name of ['name', 'message', 'stack', 'cause', 'errors'])
    if (Object.hasOwn(error, name))
      Object.defineProperty(copy, name, {
        value: copyInner((error as unknown as Record<string, unknown>)[name], `.${name}`),
        writable: true,
        enumerable: false,
        configurable: true,
      });
  return copyFields(error, copy, copyInner) as Error;
}

function copyBuffer(buffer: Uint8Array): Uint8Array {
  const copy = (globalThis as { Buffer?: { from(bytes: Uint8Array): Uint8Array } }).Buffer?.from(
    buffer,
  );
  return copy ?? Uint8Array.from(buffer);
}

/** Only the part that the view shows, so that a small view does not keep a large buffer. */
function copyView(view: Uint8Array | DataView): unknown {
  const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  return new (viewClass(constructorName(view)))(bytes as ArrayBuffer);
}

/** The class of a typed array or DataView by its name. */
export function viewClass(name: string): new (buffer: ArrayBuffer) => ArrayBufferView {
  return (globalThis as unknown as Record<string, new (buffer: ArrayBuffer) => ArrayBufferView>)[
    name
  ]!;
}

/** One checked copy. */
class Admission {
  constructor(
    readonly codecs: ClassCodecs,
    readonly where: string,
  ) {}

  copy(value: object, depth: number, path: string): unknown {
    if (depth >= DEPTH_MAX)
      throw new SerializationError(
        `${this.where}: ${shorten(path)} is nested more than ${DEPTH_MAX} levels deep, or contains itself. Store a flatter value.`,
      );
    if (Array.isArray(value)) return this.#copyArray(value as unknown[], depth, path);
    if (Object.getPrototypeOf(value) === Object.prototype)
      return this.#copyPlain(value, depth, path);
    const copy = copySpecial(value, this.codecs, (inner, step) =>
      this.#inner(inner, depth + 1, path + step),
    );
    if (copy === undefined) throw refused(value, path, this.where);
    if (kindOf(value) === 'plain') this.#checkNothingHidden(value, path);
    return copy;
  }

  #copyArray(value: unknown[], depth: number, path: string): unknown[] {
    const copy = value.slice();
    if (Object.keys(value).length > value.length)
      throw new SerializationError(
        `${this.where}: the array ${shorten(path)} has properties beside its items. Store an object instead.`,
      );
    for (let at = 0; at < copy.length; at++)
      if (needsVisit(copy[at])) copy[at] = this.#inner(copy[at], depth + 1, `${path}[${at}]`);
    return copy;
  }

  #copyPlain(value: object, depth: number, path: string): object {
    this.#checkNothingHidden(value, path);
    const copy = { ...value } as Record<string, unknown>;
    for (const name in copy)
      if (needsVisit(copy[name]))
        copy[name] = this.#inner(copy[name], depth + 1, `${path}.${name}`);
    return copy;
  }

  #inner(value: unknown, depth: number, path: string): unknown {
    if (typeof value === 'object' && value !== null) return this.copy(value, depth, path);
    if (typeof value === 'function' || typeof value === 'symbol')
      throw refused(value, path, this.where);
    return value;
  }

  #checkNothingHidden(value: object, path: string): void {
    if (Reflect.ownKeys(value).length !== Object.keys(value).length)
      throw new SerializationError(
        `${this.where}: ${shorten(path)} has symbol keys or hidden properties, which would be lost. Store a plain object.`,
      );
  }
}

function needsVisit(value: unknown): boolean {
  return (
    (typeof value === 'object' && value !== null) ||
    typeof value === 'function' ||
    typeof value === 'symbol'
  );
}

function refused(value: unknown, path: string, where: string): SerializationError {
  return new SerializationError(
    `${where}: ${shorten(path)} is ${describe(value)}, which cannot be stored. ${remedyFor(value)}`,
  );
}

function remedyFor(value: unknown): string {
  if (typeof value === 'function' || typeof value === 'symbol')
    return 'Leave it out, or store data that it can be made from.';
  if (typeof (value as { then?: unknown }).then === 'function') return 'Await it first.';
  return 'Name its class with type: () => TheClass, register a codec for it, or store a plain object.';
}

function shorten(path: string): string {
  return path.length <= 120 ? path : `${path.slice(0, 60)}…${path.slice(-40)}`;
}
