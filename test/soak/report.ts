import type { FaultWindow, History, ReadCall, SoakCall } from './history.js';
import type { SoakOutcome } from './soak.js';
import { TAIL_MS } from './verdict.js';

/** The figures of a soak, as text. */
export function reportOf(outcome: SoakOutcome): string {
  const { history, options, idle, closes, exits } = outcome;
  const calls = history.calls();
  return [
    `soak of ${options.place.storage}, ${options.onStorageError}, seed ${options.seed}: ${calls.length} calls, ${history.faults.length} faults`,
    ...staleness(history),
    ...latencies(history, calls),
    ...history.faults.map((fault, index) =>
      recovery(fault, history.faults[index + 1]?.start ?? Infinity, calls),
    ),
    ...idle.map(
      ({ resources, heapAtStart, heap, faults, stats }) =>
        `idle: ${JSON.stringify({ resources, heapMB: [heapAtStart, heap].map((bytes) => Math.round(bytes / 1e5) / 10), totalKeys: stats.totalKeys, storage: stats.storage, faults })}`,
    ),
    `close took ${closes.map(ms).join(', ')}; the processes ended ${exits.map((exit) => (typeof exit === 'string' ? exit : ms(exit))).join(', ')} later`,
  ].join('\n');
}

const ms = (value: number): string => `${value.toFixed(0)} ms`;

/** How late changes were seen, allowed or not; nothing where every change was in force everywhere at once. */
function staleness(history: History): string[] {
  const groups = new Map<string, number[]>();
  for (const { fault, isLateWrite, node, changeNode, lagMs } of history.staleReads(() => 0)) {
    const who = node === changeNode ? 'the same process' : 'another process';
    const how = isLateWrite ? ', of a write that had been given up' : '';
    const name = `${fault || 'calm'}, by ${who}${how}`;
    groups.set(name, [...(groups.get(name) ?? []), lagMs]);
  }
  return [...groups].map(([name, lags]) => {
    lags.sort((a, b) => a - b);
    const p99 = lags[Math.floor(lags.length * 0.99)]!;
    return `older values read, ${name}: ${lags.length}, p99 ${ms(p99)} and worst ${ms(lags.at(-1)!)} after the change`;
  });
}

/** p50, p99 and worst under each fault and half a second after it, without the time in which the process stood still. */
function latencies(history: History, calls: readonly SoakCall[]): string[] {
  const groups = new Map<string, { took: number[]; failed: number }>();
  for (const call of calls) {
    const fault = history.faultAt(call.end, 500) || history.faultAt(call.start, 500) || 'calm';
    const name = `${fault}, ${kindOf(call)}`;
    const group = groups.get(name) ?? { took: [], failed: 0 };
    groups.set(name, group);
    group.took.push(call.end - call.start - call.stalled);
    if (call.error === 'STORAGE_UNAVAILABLE') group.failed++;
  }
  return [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { took, failed }]) => {
      took.sort((a, b) => a - b);
      const at = (part: number): string =>
        took[Math.min(took.length - 1, Math.floor(took.length * part))]!.toFixed(1).padStart(7);
      return `${name.padEnd(44)} ${String(took.length).padStart(7)} calls ${String(failed).padStart(5)} failed  p50 ${at(0.5)}  p99 ${at(0.99)}  worst ${at(1)} ms`;
    });
}

function kindOf(call: SoakCall): string {
  if (call.op.startsWith('getOrSet')) return 'load';
  return call.is === 'read' || call.is === 'change' ? call.is : 'other';
}

/** The share of plain reads that found something, and for how long calls failed. */
function recovery(
  { fault, start, end }: FaultWindow,
  next: number,
  calls: readonly SoakCall[],
): string {
  const share = (from: number, to: number): string => {
    const reads = calls.filter(
      (call): call is ReadCall =>
        call.op === 'get' && call.error === undefined && call.start >= from && call.start < to,
    );
    return reads.length === 0
      ? '-'
      : (reads.filter(({ values }) => values?.[0]).length / reads.length).toFixed(2);
  };
  const until = Math.min(next, end + TAIL_MS);
  const lastFailure = calls
    .filter(
      (call) => call.error === 'STORAGE_UNAVAILABLE' && call.start > end && call.start < until,
    )
    .reduce((last, call) => Math.max(last, call.start - end), 0);
  return `hits around ${fault.padEnd(32)} before ${share(start - 1_500, start)}, during ${share(start, end)}, 1 s after ${share(end, end + 1_000)}, 2 s after ${share(end + 1_000, end + 2_000)}; last failure ${ms(lastFailure)} after its end`;
}
