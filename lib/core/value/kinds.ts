/** What a storable object is. */
export type Kind =
  | 'array'
  | 'plain'
  | 'Date'
  | 'Map'
  | 'Set'
  | 'RegExp'
  | 'URL'
  | 'URLSearchParams'
  | 'Error'
  | 'Buffer'
  | 'view'
  | 'ArrayBuffer'
  | 'other';

type Class = abstract new (...args: never[]) => unknown;

/**
 * The kind of an object that is not an instance of a registered class. Told by tag and by the native constructor, never
 * by `instanceof`: values may come from another realm (structuredClone, vm contexts, Jest). Instances of subclasses of
 * built-ins are `'other'`: they are class instances like any other and need a codec.
 */
export function kindOf(value: object): Kind {
  if (Array.isArray(value)) return isNative(value, 'Array') ? 'array' : 'other';
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === Object.prototype || prototype === null) return 'plain';
  const known = BY_PROTOTYPE.get(prototype);
  if (known !== undefined) return known;
  if (ArrayBuffer.isView(value)) return viewKind(value);
  const tag = Object.prototype.toString.call(value).slice('[object '.length, -1);
  switch (tag) {
    case 'Object':
      return Object.getPrototypeOf(prototype) === null && isNoClass(prototype) ? 'plain' : 'other';
    case 'Date':
    case 'Map':
    case 'Set':
    case 'RegExp':
    case 'ArrayBuffer':
      return isNative(value, tag) ? tag : 'other';
    case 'URL':
      return value.constructor === URL ? tag : 'other';
    case 'URLSearchParams':
      return value.constructor === URLSearchParams ? tag : 'other';
    case 'Error':
      return errorName(value) === undefined ? 'other' : tag;
    default:
      return 'other';
  }
}

/** Whether a class is stored without a codec, because its instances (or primitives of it) are. */
export function isStoredAnyway(type: Class): boolean {
  if (type === globalOf('Buffer') || type === URL || type === URLSearchParams) return true;
  return isNativeClass(type) && (STORED.has(type.name) || isViewName(type.name));
}

/** The native class that `type` is or extends, if there is one whose content is not in its fields. */
export function nativeBaseOf(type: Class): Class | undefined {
  for (let base: unknown = type; typeof base === 'function' && base !== Object;) {
    const known = base as Class;
    if (isNativeClass(known) || isStoredAnyway(known)) return known;
    base = Object.getPrototypeOf(known);
  }
  return undefined;
}

/** The standard class of an error that comes back as itself; `undefined` for others, which need a codec. */
export function errorName(error: object): string | undefined {
  const name = nativeName(error);
  return name !== undefined && STANDARD_ERRORS.has(name) ? name : undefined;
}

/** `'Uint8Array'` and so on, or `'DataView'`. */
export function viewName(view: ArrayBufferView): string {
  return (typedArrayTag.call(view) as string | undefined) ?? 'DataView';
}

/** Whether a name is that of a class of views of this platform. */
export function isViewName(name: string): boolean {
  return VIEW_NAME.test(name) && typeof globalOf(name) === 'function';
}

/** A global by its name; `undefined` where the platform has none. */
export function globalOf(name: string): unknown {
  return (globalThis as unknown as Record<string, unknown>)[name];
}

/** Errors that come back as the same class. */
export const STANDARD_ERRORS: ReadonlySet<string> = new Set([
  'Error',
  'TypeError',
  'RangeError',
  'SyntaxError',
  'ReferenceError',
  'EvalError',
  'URIError',
  'AggregateError',
]);

const STORED: ReadonlySet<string> = new Set([
  'Object',
  'Array',
  'String',
  'Number',
  'Boolean',
  'BigInt',
  'Date',
  'Map',
  'Set',
  'RegExp',
  'ArrayBuffer',
  ...STANDARD_ERRORS,
]);

/** The common ones of this realm, told without a look at their tag. Impostors throw when they are read. */
const BY_PROTOTYPE: ReadonlyMap<object, Kind> = new Map<object, Kind>([
  [Date.prototype, 'Date'],
  [Map.prototype, 'Map'],
  [Set.prototype, 'Set'],
  [RegExp.prototype, 'RegExp'],
]);

const VIEW_NAME = /^(?:Big)?(?:Int|Uint|Float)\d+(?:Clamped)?Array$|^DataView$/;

/** Answers `undefined` for anything but typed arrays, whatever their realm. */
const typedArrayTag = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)!.get!;

function viewKind(view: ArrayBufferView): Kind {
  if (view.constructor === globalOf('Buffer')) return 'Buffer';
  return isNative(view, viewName(view)) ? 'view' : 'other';
}

/** `Object.prototype` of any realm, or the empty prototype that fast parsers use in its place (queries on Fastify). */
function isNoClass(prototype: object): boolean {
  return Reflect.ownKeys(prototype).length === 0 || isNative(prototype, 'Object');
}

/** Whether the object is an instance of the native class of that name, of any realm, and of no subclass. */
function isNative(value: object, name: string): boolean {
  return nativeName(value) === name;
}

/** Asks the `constructor` and not the prototype, so that the dates of fake timers are dates. */
function nativeName(value: object): string | undefined {
  const type = value.constructor as unknown;
  return typeof type === 'function' && isNativeClass(type as Class) ? type.name : undefined;
}

/** A class of this realm is known by identity, one of another by its source text, which no script can write. */
function isNativeClass(type: Class | undefined): boolean {
  if (NATIVE.has(type)) return true;
  if (typeof type !== 'function' || type.prototype === undefined) return false;
  return /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(type));
}

const NATIVE: ReadonlySet<unknown> = new Set([...STORED].map(globalOf));
