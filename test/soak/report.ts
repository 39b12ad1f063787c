import type { Allowance, ChangeCall, History, ReadCall, SoakCall } from './history.js';
import type { SoakOutcome } from './soak.js';

/** For how long after a fault its consequences are put down to it, in ms. */
const TAIL_MS = 3_000;
/** What one call of the cache may take beyond its loader, in ms: two deadlines of 250 ms, and a machine with other work. */
const DEADLINE_MS = 900;
/** Operations on many entries have 20 deadlines. */
const WIDE_DEADLINE_MS = 5_500;
const WIDE = ['getMany', 'setMany', 'deleteMany', 'evictScope', 'evictTags', 'clear'];
const PROMPT = [
  'get',
  'lookup',
  'getMany',
  'set',
  'setMany',
  'delete',
  'deleteMany',
  'evictScope',
  'evictTags',
  'clear',
  'touch',
  'has',
  'merge',
  'update',
  'increment',
];

/** The figures, and each broken promise in one line. */
export function explain(outcome: SoakOutcome): {
  readonly text: string;
  readonly violations: string[];
} {
  const { history, options } = outcome;
  const stale = history.staleReads(allowanceOf(history, outcome));
  const foreign = history.foreignReads();
  const doubleLoads = history.doubleLoads(TAIL_MS);
  const doubleCounts = history.doubleCounts(TAIL_MS);
  const calls = history.calls();
  const strange = calls.filter(
    (call) => call.error !== undefined && !isExpected(call, history, outcome),
  );
  const late = calls.filter(
    (call) =>
      PROMPT.includes(call.op) &&
      call.end - call.start - call.stalled >
        (WIDE.includes(call.op) ? WIDE_DEADLINE_MS : DEADLINE_MS),
  );
  const badExits = outcome.exits.filter((exit) => typeof exit === 'string' || exit > 2_000);
  const head = (list: readonly unknown[], title: string): string[] =>
    list.length === 0
      ? []
      : [`${title}: ${list.length}`, ...list.slice(0, 6).map((one) => `   ${JSON.stringify(one)}`)];
  const violations = [
    ...head(foreign, 'P1 foreign values'),
    ...head(stale, 'P5/P6 stale reads'),
    ...head(doubleLoads, 'P9 loads at the same time'),
    ...head(doubleCounts, 'counts handed out twice'),
    ...head(late, 'P12 calls past their deadline'),
    ...head(strange, 'errors that nothing explains'),
    ...head(outcome.unhandled, 'unhandled'),
    ...head(badExits, 'P17 processes that did not end by themselves'),
  ];
  const text = [
    `soak of ${options.place.storage}, ${options.onStorageError}, seed ${options.seed}: ${calls.length} calls, ${history.faults.length} faults`,
    ...byFault(
      stale.map(({ fault, lagMs, isLateWrite }) => ({
        fault: `${fault}${isLateWrite ? ' (late write)' : ''}`,
        ms: lagMs,
      })),
      'stale reads',
    ),
    ...latencies(history, calls),
    ...recoveries(history, calls),
    `idle: ${JSON.stringify(outcome.idle.map(({ resources, heap, faults, stats }) => ({ resources, heapMB: Math.round(heap / 1e5) / 10, faults, totalKeys: stats.totalKeys, storage: stats.storage })))}`,
    `close took ${outcome.closes.map((ms) => ms.toFixed(0)).join(', ')} ms; the processes ended ${outcome.exits.map((exit) => (typeof exit === 'string' ? exit : `${exit.toFixed(0)} ms`)).join(', ')} later`,
    ...violations,
  ].join('\n');
  return { text, violations };
}

/** What docs/tiered.md and docs/errors.md allow to be seen late by other nodes. */
function allowanceOf(history: History, { options }: SoakOutcome): Allowance {
  const isTiered = options.place.storage === 'tiered';
  return (read, change) => {
    if (read.node === change.node) return 0;
    const fault = history.faults.findLast(({ start }) => start <= change.end);
    const isDuring = fault !== undefined && change.end < fault.end + TAIL_MS;
    // Degraded, a change is in force here at once and elsewhere when the storage has it.
    if (options.onStorageError === 'degrade' && isDuring) return fault.end + TAIL_MS - change.end;
    if (!isTiered) return 0;
    // Two beats; while the far tier is away, `staleWhileAway` more.
    return isDuring || history.faultAt(read.start, TAIL_MS) !== '' ? 1_250 + 2_000 : 1_250;
  };
}

function isExpected(call: SoakCall, history: History, { options }: SoakOutcome): boolean {
  if (call.error === 'the source failed' || call.error === 'LOAD_TIMEOUT') return true;
  if (call.error !== 'STORAGE_UNAVAILABLE') return false;
  const isAtomic = ['merge', 'update', 'increment', 'touch'].includes(call.op);
  if (options.onStorageError === 'degrade' && !isAtomic) return false;
  return (
    history.faults.some(({ start, end }) => start <= call.end && call.start <= end + TAIL_MS) ||
    call.stalled > 100
  );
}

function byFault(
  list: readonly { readonly fault: string; readonly ms: number }[],
  title: string,
): string[] {
  const groups = new Map<string, number[]>();
  for (const { fault, ms } of list) groups.set(fault, [...(groups.get(fault) ?? []), ms]);
  return [...groups].map(
    ([fault, all]) =>
      `${title}, ${fault || 'calm'}: ${all.length}, worst ${Math.max(...all).toFixed(0)} ms`,
  );
}

/** p50, p99 and worst of each operation under each fault. */
function latencies(history: History, calls: readonly SoakCall[]): string[] {
  const groups = new Map<string, { ms: number[]; errors: number }>();
  for (const call of calls) {
    const fault = history.faultAt(call.end, 500) || history.faultAt(call.start, 500) || 'calm';
    const kind = call.op.startsWith('getOrSet')
      ? 'load'
      : call.is === 'read'
        ? 'read'
        : call.is === 'change'
          ? 'change'
          : 'other';
    const name = `${fault}, ${kind}`;
    const group = groups.get(name) ?? { ms: [], errors: 0 };
    groups.set(name, group);
    group.ms.push(call.end - call.start - call.stalled);
    if (call.error === 'STORAGE_UNAVAILABLE') group.errors++;
  }
  return [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { ms, errors }]) => {
      ms.sort((a, b) => a - b);
      const at = (part: number): string =>
        ms[Math.min(ms.length - 1, Math.floor(ms.length * part))]!.toFixed(1);
      return `${name.padEnd(52)} ${String(ms.length).padStart(7)} calls ${String(errors).padStart(5)} failed  p50 ${at(0.5).padStart(7)}  p99 ${at(0.99).padStart(7)}  worst ${at(1).padStart(7)} ms`;
    });
}

/** The share of plain reads that found something, before each fault and in the third second after it. */
function recoveries(history: History, calls: readonly SoakCall[]): string[] {
  const reads = calls.filter(
    (call): call is ReadCall => call.op === 'get' && call.error === undefined,
  );
  const share = (from: number, to: number): string => {
    const some = reads.filter(({ start }) => start >= from && start < to);
    return some.length === 0
      ? '-'
      : (some.filter(({ values }) => values?.[0]).length / some.length).toFixed(2);
  };
  const failed = (from: number): number =>
    Math.max(
      0,
      ...calls
        .filter(
          ({ start, error }) =>
            start > from && start < from + TAIL_MS && error === 'STORAGE_UNAVAILABLE',
        )
        .map(({ start }) => start - from),
    );
  return history.faults.map(
    ({ fault, start, end }) =>
      `hits around ${fault.padEnd(40)} before ${share(start - 1_500, start)}, during ${share(start, end)}, 1 s after ${share(end, end + 1_000)}, 2 s after ${share(end + 1_000, end + 2_000)}, last failure ${failed(end).toFixed(0)} ms after its end`,
  );
}

export type { ChangeCall };
