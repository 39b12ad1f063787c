import type { ClassCodecs } from './class-codecs.js';
import { assertNothingBeside, copyArray, copyPlain } from './checked.js';
import { copyBuiltIn, type CopyPart } from './copy-built-in.js';
import { kindOf } from './kinds.js';
import { cyclic, refusedUnder, serializationError, tooDeep, unstorable } from './refusal.js';
import { Repeats, WATCHED_AFTER } from './repeats.js';

/** How many objects may be nested in each other. Far above any data, far below what the stack can take. */
export const DEPTH_MAX = 1_000;

/** What a Map, Set or error counts for: copying one takes more of the stack than an array does. */
export const BUILT_IN_LEVELS = 4;

/** Circles are looked for from here on: few values get here, and none can grow much before it does. */
const WATCHED_FROM = 16;

/**
 * A deep copy of what a caller passed in. Refuses, by name and path, what could not come back as itself: functions,
 * symbols, instances of classes without a codec, promises, streams, boxed primitives, circles, more than 1,000 levels (Maps, Sets
 * and errors count as four);
 * symbol keys and hidden properties of objects, and properties that arrays and built-ins have beside their content.
 *
 * Not looked for: hidden (non-enumerable) properties of arrays and built-ins, and anything beside the bytes of views.
 * Getters are read once. One object in two places becomes two; a value that is mostly such places is refused. Regular expressions start over (`lastIndex` 0), and views
 * keep the bytes they show, not the rest of their buffer.
 * @param where what is stored where, for the message
 * @throws SerializationError
 */
export function copyIn(value: unknown, codecs: ClassCodecs, where: string): unknown {
  if ((typeof value !== 'object' || value === null) && !isCode(value)) return value;
  try {
    return new Admission(codecs).copy(value, 0);
  } catch (thrown) {
    throw serializationError(thrown, where);
  }
}

/** A deep copy of what `copyIn` made: the same, without its checks. */
export function copyOut(value: unknown, codecs: ClassCodecs): unknown {
  return typeof value === 'object' && value !== null ? copyTrusted(value, codecs) : value;
}

/** Spreading and slicing copy all of an object at once; only objects in it then need a visit. */
function copyTrusted(value: object, codecs: ClassCodecs): unknown {
  if (Array.isArray(value) && Object.getPrototypeOf(value) === Array.prototype) {
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
      // `for in` also lists what somebody added to Object.prototype.
      if (typeof field === 'object' && field !== null && Object.hasOwn(copy, name))
        copy[name] = copyTrusted(field, codecs);
    }
    return copy;
  }
  const codec = codecs.ofInstance(value);
  if (codec) return codec.decode(copyOut(codec.encode(value), codecs));
  return copyBuiltIn(value, kindOf(value), (part) => copyOut(part, codecs));
}

/** One checked copy. */
class Admission {
  /** The objects, from the watched depth on, that the one being copied is in. */
  #around: Set<object> | undefined;
  #copied = 0;
  #repeats: Repeats | undefined;

  constructor(readonly codecs: ClassCodecs) {}

  readonly copy = (value: unknown, depth: number): unknown => {
    if (typeof value !== 'object' || value === null) {
      if (isCode(value)) throw unstorable(value);
      return value;
    }
    if (++this.#copied > WATCHED_AFTER) (this.#repeats ??= new Repeats()).watch(value);
    return this.#nested(value, depth);
  };

  #nested(value: object, depth: number): unknown {
    if (depth < WATCHED_FROM) return this.#object(value, depth);
    if (depth >= DEPTH_MAX) throw tooDeep(DEPTH_MAX);
    this.#around ??= new Set();
    if (this.#around.has(value)) throw cyclic();
    this.#around.add(value);
    const copy = this.#object(value, depth);
    this.#around.delete(value);
    return copy;
  }

  #object(value: object, depth: number): unknown {
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype === Object.prototype && !Array.isArray(value))
      return copyPlain(value, {}, depth + 1, this.copy);
    const codec = this.codecs.ofInstance(value);
    if (codec) return codec.decode(this.#encoded(codec.encode(value), depth + 1));
    const kind = kindOf(value);
    if (kind === 'array') return copyArray(value as unknown[], depth + 1, this.copy);
    if (kind === 'other') throw unstorable(value);
    if (kind === 'plain')
      return copyPlain(value, prototype === null ? bare() : {}, depth + 1, this.copy);
    assertNothingBeside(value, kind);
    return copyBuiltIn(value, kind, this.#partCopier(depth + BUILT_IN_LEVELS));
  }

  /** New each time, so it says nothing about what is repeated. */
  #encoded(form: unknown, depth: number): unknown {
    if (typeof form === 'object' && form !== null) return this.#nested(form, depth);
    return this.copy(form, depth);
  }

  #partCopier(depth: number): CopyPart {
    return (part, step) => {
      try {
        return this.copy(part, depth);
      } catch (thrown) {
        throw refusedUnder(thrown, step);
      }
    };
  }
}

function bare(): object {
  return Object.create(null) as object;
}

function isCode(value: unknown): boolean {
  return typeof value === 'function' || typeof value === 'symbol';
}
