/** Assertions that bind no test runner: each throws an Error that says what was expected and what came. */

/** Thrown by the contract suites; runners that know `expected` and `actual` show a difference. */
export class ContractViolation extends Error {
  constructor(
    message: string,
    readonly expected?: unknown,
    readonly actual?: unknown,
  ) {
    super(message);
    this.name = 'ContractViolation';
  }
}

/** @throws ContractViolation unless `actual` equals `expected` in kind, structure and content */
export function assertEqual(actual: unknown, expected: unknown, what: string): void {
  if (!isSame(actual, expected))
    throw new ContractViolation(
      `${what}: expected ${show(expected)}, got ${show(actual)}.`,
      expected,
      actual,
    );
}

/** @throws ContractViolation unless `condition` holds */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new ContractViolation(what);
}

/**
 * The error that `work` threw or rejected with.
 * @throws ContractViolation when it did neither, or when the error has another `code`
 */
export async function assertRejects(
  work: () => unknown,
  what: string,
  code?: string,
): Promise<unknown> {
  let error: unknown;
  try {
    await work();
  } catch (caught) {
    error = caught;
    const got = (caught as { code?: unknown } | null)?.code;
    if (code !== undefined && got !== code)
      throw new ContractViolation(
        `${what}: expected an error with code ${code}, got ${show(caught)}.`,
        code,
        got,
      );
    return error;
  }
  throw new ContractViolation(`${what}: expected an error${code ? ` (${code})` : ''}, got none.`);
}

/** Equal in kind, structure and content: -0 is not 0, NaN is NaN, a Date is no string, `{ a: undefined }` is not `{}`. */
export function isSame(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null)
    return false;
  const kind = kindOf(one);
  if (kind !== kindOf(other)) return false;
  switch (kind) {
    case '[object Date]':
      return Object.is((one as Date).getTime(), (other as Date).getTime());
    case '[object RegExp]':
    case '[object URL]':
      return (one as URL | RegExp).toString() === (other as URL | RegExp).toString();
    case '[object Map]':
      return areSameLists(
        [...(one as Map<unknown, unknown>)],
        [...(other as Map<unknown, unknown>)],
      );
    case '[object Set]':
      return areSameLists([...(one as Set<unknown>)], [...(other as Set<unknown>)]);
    case '[object Error]':
      return isSameError(one as Error, other as Error);
    default:
      return hasSameFields(one, other);
  }
}

function areSameLists(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((item, at) => isSame(item, other[at]));
}

function isSameError(one: Error, other: Error): boolean {
  return one.name === other.name && one.message === other.message && isSame(one.cause, other.cause);
}

function hasSameFields(one: object, other: object): boolean {
  const names = Object.keys(one);
  if (Array.isArray(one) && one.length !== (other as unknown[]).length) return false;
  return (
    names.length === Object.keys(other).length &&
    names.every(
      (name) =>
        Object.hasOwn(other, name) &&
        isSame((one as Record<string, unknown>)[name], (other as Record<string, unknown>)[name]),
    )
  );
}

function kindOf(value: object): string {
  return Object.prototype.toString.call(value);
}

/** Short text of any value, for messages. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  if (typeof value === 'bigint') return `${value}n`;
  if (Object.is(value, -0)) return '-0';
  if (typeof value !== 'object' || value === null) return String(value);
  if (kindOf(value) === '[object Error]')
    return `${(value as Error).name}: ${(value as Error).message}`;
  try {
    return JSON.stringify(value).slice(0, 200);
  } catch {
    return kindOf(value);
  }
}
