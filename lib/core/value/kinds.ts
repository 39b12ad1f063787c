/** What a storable object is. Told by tag and shape, never by `instanceof`: values may come from another realm. */
export type Kind =
  | 'array'
  | 'plain'
  | 'Date'
  | 'Map'
  | 'Set'
  | 'RegExp'
  | 'URL'
  | 'Error'
  | 'Buffer'
  | 'bytes'
  | 'ArrayBuffer'
  | 'other';

/** The kind of an object that is not an instance of a registered class. */
export function kindOf(value: object): Kind {
  if (Array.isArray(value)) return 'array';
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return 'plain';
  switch (Object.prototype.toString.call(value)) {
    case '[object Object]':
      return isObjectPrototype(prototype as object) ? 'plain' : 'other';
    case '[object Date]':
      return builtIn(value, 'Date');
    case '[object Map]':
      return builtIn(value, 'Map');
    case '[object Set]':
      return builtIn(value, 'Set');
    case '[object RegExp]':
      return builtIn(value, 'RegExp');
    case '[object URL]':
      return builtIn(value, 'URL');
    case '[object Error]':
      return STANDARD_ERRORS.has(constructorName(value)) ? 'Error' : 'other';
    case '[object ArrayBuffer]':
      return 'ArrayBuffer';
    default:
      return ArrayBuffer.isView(value) ? viewKind(value) : 'other';
  }
}

/** Errors that come back as the same class; others need a codec. */
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

/** The name of the constructor that the prototype names; `''` when there is none. */
export function constructorName(value: object): string {
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null;
  const name = prototype?.constructor?.name;
  return typeof name === 'string' ? name : '';
}

/** A subclass of a built-in is a class instance like any other: it needs a codec. */
function builtIn(value: object, name: 'Date' | 'Map' | 'Set' | 'RegExp' | 'URL'): Kind {
  return constructorName(value) === name ? name : 'other';
}

function viewKind(value: ArrayBufferView): Kind {
  const name = constructorName(value);
  if (name === 'Buffer') return 'Buffer';
  return /^(?:(?:Big)?(?:Int|Uint|Float)(?:8|16|32|64)(?:Clamped)?Array|DataView)$/.test(name)
    ? 'bytes'
    : 'other';
}

/** `Object.prototype` of another realm. */
function isObjectPrototype(prototype: object): boolean {
  return (
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, 'hasOwnProperty') &&
    Object.hasOwn(prototype, 'isPrototypeOf')
  );
}
