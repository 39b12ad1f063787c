import type { ClassCodecs } from './class-codecs.js';
/* temporary */
export interface Serializer {
  readonly name: string;
  serialize(value: unknown): Uint8Array;
  deserialize(bytes: Uint8Array): unknown;
}
export function richSerializer(_codecs?: ClassCodecs): Serializer {
  return {
    name: 'json',
    serialize: (v) => new TextEncoder().encode(JSON.stringify(v) ?? 'null'),
    deserialize: (b) => JSON.parse(new TextDecoder().decode(b)) as unknown,
  };
}
