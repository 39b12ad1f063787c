import type { ClassCodecs } from './class-codecs.js';
import { copyIn, copyOut } from './copy.js';
import { deepFreeze, holdsUnfreezable } from './freeze.js';

/** See the `isolation` option. */
export type Isolation = 'clone' | 'frozen' | 'none';

/** How values are kept apart from their callers (P11). */
export interface ValuePolicy {
  /** The form to keep of a value that a caller passed in. Throws SerializationError for what cannot be stored. */
  admit(value: unknown, where: string): unknown;
  /** The form to hand out of a kept value. */
  release(stored: unknown): unknown;
}

/** `clone`: a copy in, a copy out. `frozen`: one frozen snapshot for all. `none`: the very object, unchecked. */
export function valuePolicy(isolation: Isolation, codecs: ClassCodecs): ValuePolicy {
  switch (isolation) {
    case 'clone':
      return {
        admit: (value, where) => copyIn(value, codecs, where),
        release: (stored) => copyOut(stored, codecs),
      };
    case 'frozen':
      return frozenPolicy(codecs);
    case 'none':
      return { admit: (value) => value, release: (stored) => stored };
  }
}

/** What holds bytes or URLs, which nothing can freeze, is handed out as a frozen copy with bytes of its own. */
function frozenPolicy(codecs: ClassCodecs): ValuePolicy {
  const unfreezable = new WeakSet<object>();
  return {
    admit(value, where) {
      const frozen = deepFreeze(copyIn(value, codecs, where));
      if (holdsUnfreezable(frozen)) unfreezable.add(frozen as object);
      return frozen;
    },
    release: (stored) =>
      typeof stored === 'object' && stored !== null && unfreezable.has(stored)
        ? deepFreeze(copyOut(stored, codecs))
        : stored,
  };
}
