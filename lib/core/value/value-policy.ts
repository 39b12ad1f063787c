import type { StoredEntry } from '../entry.js';
import type { ClassCodecs } from './class-codecs.js';
import { copyByPlan, CopyPlans } from './copy-plan.js';
import { copyIn, copyOut } from './copy.js';
import { deepFreeze } from './freeze.js';

/** See the `isolation` option. */
export type Isolation = 'clone' | 'frozen' | 'none';

/** How values are kept apart from their callers (P11). */
export interface ValuePolicy {
  /**
   * The form to keep of a value that a caller passed in.
   * @param where what is stored where, for the message
   * @throws SerializationError for what cannot be stored
   */
  admit(value: unknown, where: string): unknown;
  /** The form to keep of what was put together from kept values. */
  adopt(value: object): object;
  /** The form to hand out of a kept value. */
  release(stored: unknown): unknown;
  /** The same for the value of a kept entry, which may be read many times. */
  releaseFrom(entry: StoredEntry): unknown;
}

/** `clone`: a copy in, a copy out. `frozen`: one frozen snapshot for all. `none`: the very object, unchecked. */
export function valuePolicy(isolation: Isolation, codecs: ClassCodecs): ValuePolicy {
  switch (isolation) {
    case 'clone':
      return clonePolicy(codecs);
    case 'frozen':
      return frozenPolicy(codecs);
    case 'none':
      return {
        admit: (value) => value,
        adopt: (value) => value,
        release: (stored) => stored,
        releaseFrom: (entry) => entry.value,
      };
  }
}

/** How to copy an entry's value is found out at its first hit, and kept with it. */
function clonePolicy(codecs: ClassCodecs): ValuePolicy {
  const plans = new CopyPlans();
  return {
    admit: (value, where) => copyIn(value, codecs, where),
    adopt: (value) => value,
    release: (stored) => copyOut(stored, codecs),
    releaseFrom(entry) {
      const { value } = entry;
      if (typeof value !== 'object' || value === null) return value;
      return copyByPlan(value, (entry.copyPlan ??= plans.of(value)), codecs);
    },
  };
}

/**
 * What holds something that nothing can freeze (see `deepFreeze`) is handed out as a copy each time: whoever changes its
 * bytes changes his own, and the rest of it is frozen as ever.
 */
function frozenPolicy(codecs: ClassCodecs): ValuePolicy {
  const unshareable = new WeakSet<object>();
  const release = (stored: unknown): unknown => {
    if (typeof stored !== 'object' || stored === null || !unshareable.has(stored)) return stored;
    const copy = copyOut(stored, codecs);
    deepFreeze(copy, codecs);
    return copy;
  };
  const adopt = <T>(value: T): T => {
    if (!deepFreeze(value, codecs)) unshareable.add(value as object);
    return value;
  };
  return {
    admit: (value, where) => adopt(copyIn(value, codecs, where)),
    adopt,
    release,
    releaseFrom: (entry) => release(entry.value),
  };
}
