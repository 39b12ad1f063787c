import type { CopyPlan } from '../entry.js';
import type { ClassCodecs } from './class-codecs.js';
import { copyOut } from './copy.js';

/** Objects nested deeper than this in a value are copied without a plan. */
const DEPTH_MAX = 4;
/** Shapes known at a time; values of further ones are copied without a plan. */
const SHAPES_MAX = 1_000;

const ANYTHING: CopyPlan = { kind: 'anything', names: [], parts: [], shape: '?' };
const LIST: CopyPlan = { kind: 'list', names: [], parts: [], shape: '[]' };
const FIELDS: CopyPlan = { kind: 'fields', names: [], parts: [], shape: '{}' };

/** A copy of what `copyIn` made, by the plan of its shape. As `copyOut`, only that it knows where to look. */
export function copyByPlan(value: unknown, plan: CopyPlan, codecs: ClassCodecs): unknown {
  switch (plan.kind) {
    case 'fields':
      return copyFields(value as Record<string, unknown>, plan, codecs);
    case 'list':
      return copyList(value as unknown[], plan, codecs);
    case 'anything':
      return copyOut(value, codecs);
  }
}

function copyFields(value: Record<string, unknown>, plan: CopyPlan, codecs: ClassCodecs): unknown {
  const copy = { ...value };
  const { names, parts } = plan;
  for (let at = 0; at < names.length; at++) {
    const name = names[at]!;
    const part = parts[at]!;
    // The two most frequent plans in place: a call for each would cost as much as what it does.
    if (part === LIST) copy[name] = (copy[name] as unknown[]).slice();
    else if (part === FIELDS) copy[name] = { ...(copy[name] as object) };
    else copy[name] = copyByPlan(copy[name], part, codecs);
  }
  return copy;
}

function copyList(value: unknown[], { parts: [part] }: CopyPlan, codecs: ClassCodecs): unknown {
  const copy = value.slice();
  if (part === undefined) return copy;
  for (let at = 0; at < copy.length; at++) copy[at] = copyByPlan(copy[at], part, codecs);
  return copy;
}

/** The plans of one cache; values of one shape share theirs. */
export class CopyPlans {
  readonly #known = new Map<string, CopyPlan>();

  /** O(size of the value). */
  of(value: unknown): CopyPlan {
    return this.#planOf(value as object, 1);
  }

  #planOf(value: object, depth: number): CopyPlan {
    if (depth > DEPTH_MAX) return ANYTHING;
    switch (Object.getPrototypeOf(value)) {
      case Array.prototype:
        return this.#planOfList(value as unknown[], depth);
      case Object.prototype:
        return this.#planOfFields(value as Record<string, unknown>, depth);
      default:
        return ANYTHING;
    }
  }

  #planOfList(value: readonly unknown[], depth: number): CopyPlan {
    let common: CopyPlan | undefined;
    for (let at = 0; at < value.length; at++) {
      const item = value[at];
      const plan = isObject(item) ? this.#planOf(item, depth + 1) : LIST_OF_NOTHING;
      common ??= plan;
      if (plan !== common || plan === ANYTHING) return ANYTHING;
    }
    if (common === undefined || common === LIST_OF_NOTHING) return LIST;
    return this.#shared('list', [], [common], `[${common.shape}]`);
  }

  #planOfFields(value: Readonly<Record<string, unknown>>, depth: number): CopyPlan {
    const names = Object.keys(value).filter((name) => isObject(value[name]));
    if (names.length === 0) return FIELDS;
    const parts = names.map((name) => this.#planOf(value[name] as object, depth + 1));
    const shape = names.map((name, at) => `${JSON.stringify(name)}:${parts[at]!.shape}`);
    return this.#shared('fields', names, parts, `{${shape.join()}}`);
  }

  #shared(
    kind: 'fields' | 'list',
    names: readonly string[],
    parts: readonly CopyPlan[],
    shape: string,
  ): CopyPlan {
    const known = this.#known.get(shape);
    if (known !== undefined || this.#known.size >= SHAPES_MAX) return known ?? ANYTHING;
    const plan: CopyPlan = { kind, names, parts, shape };
    this.#known.set(shape, plan);
    return plan;
  }
}

/** Stands for a primitive item, which needs no copy. */
const LIST_OF_NOTHING: CopyPlan = { kind: 'anything', names: [], parts: [], shape: '' };

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
