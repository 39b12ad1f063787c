import type { IdleReport } from './fleet.js';
import type { Allowance, FaultWindow, History, ReadCall, SoakCall, StaleRead } from './history.js';
import type { SoakOutcome } from './soak.js';

/** For how long after a fault its consequences are put down to it, in ms. */
export const TAIL_MS = 3_000;
/** After a fault, reads may miss or fail for so long, in ms. */
const RECOVERY_MS = 1_000;
/** Operations on many entries have 20 times the deadline of others, 250 ms. */
const WIDE = ['getMany', 'setMany', 'deleteMany', 'evictScope', 'evictTags', 'clear'];
const WIDE_DEADLINE_MS = 5_000;
/** They look, compare and write, again when others were faster; each command has a deadline, the whole has none (docs/redis.md). */
const ATOMIC = ['merge', 'update', 'increment', 'touch'];
const ATOMIC_DEADLINE_MS = 2_000;
/** Two deadlines one after the other, for a look and a write. */
const DEADLINE_MS = 500;
/** A beat that was lost shows at the next but one. */
const BEATS_MS = 1_250;
const STALE_WHILE_AWAY_MS = 2_000;
/** Of memory that is there again when nothing happens any more, beside what was there at the start. */
const HEAP_GROWTH_MAX = 15e6;
/** Figures of a storage that count work under way. */
const BUSY = /UnderWay|InUse|journaled|waiting|circuitOpen|reclaiming/;

/** Broken promises, each with its first cases. Empty: all were kept. */
export function violationsOf(outcome: SoakOutcome): string[] {
  const { history, options } = outcome;
  const { slackMs } = options;
  const calls = history.calls();
  return [
    ...told('P1 values of another place', history.foreignReads()),
    ...told('P5 P6 stale reads', staleReadsOf(outcome)),
    ...told('P9 loads of one key at once', history.doubleLoads(TAIL_MS)),
    ...told('counts handed out twice', history.doubleCounts(TAIL_MS)),
    ...told(
      'P12 calls past their deadline',
      calls.filter((call) => isLate(call, slackMs)),
    ),
    ...told(
      'P12 errors without a fault',
      calls.filter((call) => isUnexplained(call, outcome)),
    ),
    ...told(
      'P12 no hits again after a fault',
      history.faults.filter((fault) => !isRecovered(fault, history)),
    ),
    ...told('unhandled', outcome.unhandled),
    ...told(
      'P16 not idle again',
      outcome.idle.filter((report) => !isIdle(report)),
    ),
    ...told(
      'P17 processes that did not end by themselves',
      outcome.exits.filter((exit) => typeof exit === 'string' || exit > 1_000 + slackMs),
    ),
  ];
}

/** Reads of what an acknowledged change had ended, beyond what the documentation allows. */
function staleReadsOf({ history, options }: SoakOutcome): StaleRead[] {
  const isTiered = options.place.storage === 'tiered';
  const allowance: Allowance = (read, change) => {
    // What a master acknowledged while another one took over may be lost (docs/redis.md, "Failover").
    if (isDuringFailover(change.end, history)) return Infinity;
    if (read.node === change.node) return 0;
    const fault = history.faults.findLast(({ start }) => start <= change.end);
    const isDuring = fault !== undefined && change.end < fault.end + TAIL_MS;
    // Degraded, a change is in force here at once, and elsewhere when the storage has it.
    if (options.onStorageError === 'degrade' && isDuring) return fault.end + TAIL_MS - change.end;
    if (!isTiered) return 0;
    return isDuring || history.faultAt(read.start, TAIL_MS) !== ''
      ? BEATS_MS + STALE_WHILE_AWAY_MS
      : BEATS_MS;
  };
  return history.staleReads(allowance);
}

function isDuringFailover(at: number, { faults }: History): boolean {
  return faults.some(
    ({ fault, start, end }) => /failover/i.test(fault) && start <= at && at <= end,
  );
}

function told(title: string, cases: readonly unknown[]): string[] {
  if (cases.length === 0) return [];
  return [
    `${title}: ${cases.length}`,
    ...cases.slice(0, 6).map((one) => `   ${JSON.stringify(one)}`),
  ];
}

/** Loads take as long as their loader, and whoever waits for them too. */
function isLate(call: SoakCall, slackMs: number): boolean {
  if (call.op.startsWith('getOrSet')) return false;
  const deadlineMs = WIDE.includes(call.op)
    ? WIDE_DEADLINE_MS
    : ATOMIC.includes(call.op)
      ? ATOMIC_DEADLINE_MS
      : DEADLINE_MS;
  return call.end - call.start - call.stalled > deadlineMs + slackMs;
}

function isUnexplained(call: SoakCall, { history, options }: SoakOutcome): boolean {
  if (call.error === undefined) return false;
  if (call.error === 'the source failed' || call.error === 'LOAD_TIMEOUT') return false;
  if (call.error !== 'STORAGE_UNAVAILABLE') return true;
  // The atomic operations have nothing to fall back on (decision 0007).
  const mayFail = options.onStorageError === 'throw' || ATOMIC.includes(call.op);
  const isNear = history.faults.some(
    ({ start, end }) => start <= call.end && call.start <= end + TAIL_MS,
  );
  return !mayFail || !(isNear || call.stalled > 100);
}

/** In the second and third second after a fault, plain reads find something again. */
function isRecovered({ end }: FaultWindow, history: History): boolean {
  const reads = history
    .calls()
    .filter(
      (call): call is ReadCall =>
        call.op === 'get' && call.start > end + RECOVERY_MS && call.start < end + TAIL_MS,
    )
    // Another fault may have come meanwhile, whose own recovery is judged by itself.
    .filter(({ start }) => history.faultAt(start, RECOVERY_MS) === '');
  // The same processes that went on with `clear` and evictions leave half of all reads with a hit.
  return reads.length < 60 || reads.filter(({ values }) => values?.[0]).length > reads.length / 10;
}

function isIdle({ stats, heapAtStart, heap }: IdleReport): boolean {
  const busy = Object.entries(stats.storage).some(
    ([name, figure]) => BUSY.test(name) && figure > 0,
  );
  return !busy && heap - heapAtStart < HEAP_GROWTH_MAX;
}
