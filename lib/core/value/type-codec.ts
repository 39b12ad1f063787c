import { InvalidOptionsError } from '../errors.js';
import type { ClassCodec } from './class-codecs.js';
import { errorFrom, errorParts, type ErrorParts } from './error-parts.js';
import { nativeBaseOf, STANDARD_ERRORS } from './kinds.js';

type Class = ClassCodec['type'];

/**
 * A codec made from nothing but the class: fields out, fields in.
 * @throws InvalidOptionsError for a class that fields alone cannot bring back
 */
export function typeCodec(type: Class): ClassCodec {
  if (type.name === '')
    throw new InvalidOptionsError(
      'type: the class has no name to store it by. Name it, or register a codec for it.',
    );
  const base = nativeBaseOf(type)?.name;
  if (base === undefined) return objectCodec(type);
  if (STANDARD_ERRORS.has(base)) return errorCodec(type, base);
  throw new InvalidOptionsError(
    `type: ${type.name} is built on ${base}, whose content is not in its fields. Register a codec for it.`,
  );
}

function objectCodec(type: Class): ClassCodec {
  return {
    name: type.name,
    type,
    encode: (instance: object) => ({ ...instance }),
    decode: (plain: object) =>
      Object.defineProperties(
        Object.create(type.prototype as object) as object,
        Object.getOwnPropertyDescriptors(plain),
      ),
  };
}

/** Made as a standard error first, so that it is a true one. */
function errorCodec(type: Class, base: string): ClassCodec<object, ErrorParts> {
  return {
    name: type.name,
    type: type as ClassCodec<object>['type'],
    encode: errorParts,
    decode: (parts) => Object.setPrototypeOf(errorFrom(base, parts), type.prototype) as object,
  };
}
