import type { ClassCodecs } from './class-codecs.js';
import { SerializationError } from '../errors.js';
/* temporary */
export type Isolation = 'clone' | 'frozen' | 'none';
export interface ValuePolicy {
  admit(value: unknown, where: string): unknown;
  release(stored: unknown): unknown;
}
export function valuePolicy(isolation: Isolation, _codecs: ClassCodecs): ValuePolicy {
  const clone = (v: unknown): unknown => {
    if (typeof v === 'function' || typeof v === 'symbol') throw new SerializationError('function');
    return typeof v === 'object' && v !== null ? structuredClone(v) : v;
  };
  return {
    admit: isolation === 'none' ? (v) => v : clone,
    release: isolation === 'clone' ? clone : (v) => v,
  };
}
