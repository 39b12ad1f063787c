import { SerializationError, typeInWords } from '../errors.js';
import type { Serializer } from './serializer.js';

/**
 * A serializer of the application's own, whose failures are about the value: to the cache they must not look like faults of
 * the storage, which would open its circuit for all other values.
 */
export function guardedSerializer(own: Serializer): Serializer {
  return {
    name: own.name,
    serialize(value) {
      let bytes: unknown;
      try {
        bytes = own.serialize(value);
      } catch (error) {
        throw asOurs(error, () => `could not write the value down: ${messageOf(error)}`, own);
      }
      if (bytes instanceof Uint8Array) return bytes;
      throw new SerializationError(
        `The serializer ${nameOf(own)} answered with ${typeInWords(bytes)}; serialize must return a Uint8Array.`,
      );
    },
    deserialize(bytes) {
      try {
        return own.deserialize(bytes);
      } catch (error) {
        // Its text may quote the bytes, as that of JSON.parse does, and values do not belong into logs.
        throw asOurs(error, () => `could not read the stored bytes (${kindOf(error)})`, own);
      }
    },
  };
}

function asOurs(error: unknown, what: () => string, own: Serializer): SerializationError {
  if (error instanceof SerializationError) return error;
  return new SerializationError(`The serializer ${nameOf(own)} ${what()}.`);
}

function nameOf({ name }: Serializer): string {
  return `"${String(name)}"`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : kindOf(error);
}

function kindOf(error: unknown): string {
  return error instanceof Error ? error.name : `it threw ${typeInWords(error)}`;
}
