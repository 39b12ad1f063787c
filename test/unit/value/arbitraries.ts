import fc from 'fast-check';

/** Lone surrogates, NUL, quotes and emoji are among them. */
const text = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'binary', maxLength: 1 }),
    fc.constantFrom('\ud800', '\udfff', '"', '\\', '\0', '😀', ']', '{'),
  ),
});

/** Names that have ended badly elsewhere. */
const name = fc.oneof(
  text,
  fc.constantFrom(
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'toJSON',
    'hasOwnProperty',
    '$nsc',
    'v',
    'c',
    'then',
    'length',
    '0',
  ),
);

const bytes = fc.uint8Array({ maxLength: 24 });

const leaf: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    undefined,
    null,
    true,
    false,
    0,
    -0,
    NaN,
    Infinity,
    -Infinity,
    '',
    5e-324,
  ),
  fc.double(),
  text,
  fc.bigInt(),
  fc.date({ noInvalidDate: false }),
  fc.sparseArray(fc.integer(), { maxNumElements: 3, maxLength: 6 }),
  bytes,
  bytes.map((array) => Buffer.from(array)),
  bytes.map((array) => array.slice().buffer),
  bytes.map((array) => new DataView(array.slice().buffer)),
  fc.float32Array({ maxLength: 4 }),
  fc.float64Array({ maxLength: 4 }),
  fc.int16Array({ maxLength: 4 }),
  fc.bigInt64Array({ maxLength: 4 }),
  fc.uint8ClampedArray({ maxLength: 4 }),
  fc.webUrl().map((url) => new URL(url)),
  fc.webQueryParameters().map((query) => new URLSearchParams(query)),
  fc.constantFrom(/a/giu, /[/\]\\]/, new RegExp(''), /\n/my),
);

/** Values of every storable kind, nested in each other. */
export const richValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(name, tie('value'), { maxKeys: 5, noNullPrototype: false }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => new Set(items)),
    fc.tuple(fc.string(), tie('value')).map(([message, cause]) => shortError(message, { cause })),
  ),
})).value;

/** What JSON can say. */
export const plainValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    text,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(name, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value;

/** An error with a stack of one line: Jest maps every line of the others to its source, which takes a while. */
export function shortError(message: string, options?: ErrorOptions): TypeError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return new TypeError(message, options);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

export function nested(levels: number, around: (inner: unknown) => unknown): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = around(value);
  return value;
}

/** How many of each may be nested in each other. */
export const deepest: [number, string, (inner: unknown) => unknown][] = [
  [1_000, 'arrays', (inner) => [inner]],
  [1_000, 'objects', (inner) => ({ inner, nothing: undefined })],
  [250, 'Maps', (inner) => new Map([[1, inner]])],
  [250, 'Sets', (inner) => new Set([inner])],
  [250, 'causes', (cause) => shortError('', { cause })],
];
