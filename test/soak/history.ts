/** What the processes of a soak did, and the judge of it. All times are ms on the machine's monotonic clock. */

/** A value as it was read: it says itself where it belongs, who made it and when that began. */
export interface SeenValue {
  readonly place: string;
  readonly id: string;
  readonly tag?: number;
  readonly by: 'load' | 'set';
  readonly begin: number;
}

interface Span {
  readonly start: number;
  readonly end: number;
  /** Which process. Filled in by the fleet. */
  readonly node: string;
}

interface Call extends Span {
  readonly op: string;
  readonly error?: string;
  /** For how much of it the whole process stood still. */
  readonly stalled: number;
}

export interface ReadCall extends Call {
  readonly is: 'read';
  readonly places: readonly string[];
  readonly values?: readonly (SeenValue | null | undefined)[];
}

/** After it, nothing that began before it may be read in `places`, or in all places under a scope (with a tag). */
export interface ChangeCall extends Call {
  readonly is: 'change';
  readonly places?: readonly string[];
  readonly under?: string;
  readonly tag?: number;
  /** Of the value that it writes. */
  readonly id?: string;
}

export interface CountCall extends Call {
  readonly is: 'count';
  readonly places: readonly string[];
  readonly count?: number;
}

export interface OtherCall extends Call {
  readonly is: 'other';
  readonly places: readonly string[];
}

export interface LoadRun extends Span {
  readonly is: 'load';
  readonly id: string;
  readonly place: string;
}

export type SoakRecord = ReadCall | ChangeCall | CountCall | OtherCall | LoadRun;
export type SoakCall = Exclude<SoakRecord, LoadRun>;

/** Something that was done to the servers, the network or the processes. */
export interface FaultWindow {
  readonly fault: string;
  readonly start: number;
  /** When it was taken back. */
  readonly end: number;
}

/** A value that should have been gone. */
export interface StaleRead {
  readonly place: string;
  readonly op: string;
  readonly node: string;
  readonly changedBy: string;
  readonly changeNode: string;
  readonly value: SeenValue;
  /** From the end of the change to the start of the read. */
  readonly lagMs: number;
  readonly at: number;
  readonly fault: string;
  /** The value's own write was rejected: it came into force after its caller had been told that it failed. */
  readonly isLateWrite: boolean;
}

/** Two loads of one key at once, with nothing between them that would allow it. */
export interface DoubleLoad {
  readonly place: string;
  readonly at: number;
  readonly nodes: readonly [string, string];
  readonly overlapMs: number;
}

/** How much later than its acknowledgement a change may be seen by other nodes, in ms. */
export type Allowance = (read: ReadCall, change: ChangeCall) => number;

export class History {
  readonly records: SoakRecord[] = [];
  readonly faults: FaultWindow[] = [];

  /** Reads that returned what an acknowledged change had ended, worst first. */
  staleReads(allowance: Allowance): StaleRead[] {
    const places = this.#changesByPlace();
    const writes = this.#writes();
    const found: StaleRead[] = [];
    for (const read of this.#of('read'))
      for (const [index, place] of read.places.entries()) {
        const value = read.values?.[index];
        if (!value || value.place !== place) continue;
        const write = value.by === 'set' ? writes.get(value.id) : undefined;
        // A writer that was killed never said when its write ended.
        const known = value.by === 'load' ? value.begin : (write?.end ?? Infinity);
        const culprit = latestWithin(
          places.get(place)!,
          known,
          read.start,
          (change) =>
            covers(change, value) &&
            change.start > known &&
            change.end + allowance(read, change) < read.start,
        );
        if (!culprit) continue;
        found.push({
          place,
          op: read.op,
          node: read.node,
          changedBy: culprit.op,
          changeNode: culprit.node,
          value,
          lagMs: read.start - culprit.end,
          at: read.start,
          fault: this.faultAt(read.start, 3_000),
          isLateWrite: write?.error !== undefined,
        });
      }
    return found.toSorted((a, b) => b.lagMs - a.lagMs);
  }

  /** Values of another place: the breach that must never be. */
  foreignReads(): ReadCall[] {
    return this.#of('read').filter((read) =>
      read.values?.some((value, index) => value && value.place !== read.places[index]),
    );
  }

  /** P9, where no fault was near and nothing ended the first load's right. */
  doubleLoads(tailMs: number): DoubleLoad[] {
    const changes = this.#changesByPlace();
    const byPlace = new Map<string, LoadRun[]>();
    for (const load of this.#of('load').toSorted((a, b) => a.start - b.start))
      byPlace.set(load.place, [...(byPlace.get(load.place) ?? []), load]);
    const found: DoubleLoad[] = [];
    for (const [place, loads] of byPlace) {
      for (const [index, first] of loads.entries())
        for (let other = index + 1; other < loads.length; other++) {
          const second = loads[other]!;
          if (second.start >= first.end) break;
          const isAllowed =
            this.faultAt(second.start, tailMs) !== '' ||
            // A hard time-out of 1 s frees the key.
            second.start - first.start > 950 ||
            changes
              .get(place)
              ?.some((change) => change.end > first.start - 50 && change.start < second.start);
          if (!isAllowed)
            found.push({
              place,
              at: second.start,
              nodes: [first.node, second.node],
              overlapMs: Math.min(first.end, second.end) - second.start,
            });
        }
    }
    return found;
  }

  /** Counts handed out twice, with nothing between them that could have ended the counter. */
  doubleCounts(tailMs: number): CountCall[] {
    const changes = this.#changesByPlace();
    const found: CountCall[] = [];
    const last = new Map<string, CountCall>();
    for (const call of this.#of('count').toSorted((a, b) => a.end - b.end)) {
      if (call.count === undefined) continue;
      const name = `${call.places[0]}=${call.count}`;
      const earlier = last.get(name);
      last.set(name, call);
      if (!earlier) continue;
      const from = Math.min(earlier.start, call.start);
      const isAllowed =
        this.faults.some((fault) => fault.start < call.end && fault.end + tailMs > from) ||
        changes
          .get(call.places[0]!)
          ?.some((change) => change.end > from && change.start < call.end);
      if (!isAllowed && call.end - earlier.end < 59_000) found.push(call);
    }
    return found;
  }

  /** The fault that was on at that time, or had ended less than `tailMs` before. */
  faultAt(time: number, tailMs = 0): string {
    return (
      this.faults.findLast(({ start, end }) => start <= time && time <= end + tailMs)?.fault ?? ''
    );
  }

  calls(): SoakCall[] {
    return this.records.filter((record) => record.is !== 'load');
  }

  #of<K extends SoakRecord['is']>(is: K): Extract<SoakRecord, { is: K }>[] {
    return this.records.filter(
      (record): record is Extract<SoakRecord, { is: K }> => record.is === is,
    );
  }

  #writes(): Map<string, ChangeCall> {
    return new Map(
      this.#of('change').flatMap((change) => (change.id ? [[change.id, change] as const] : [])),
    );
  }

  /** Acknowledged changes, by their end. What was rejected has promised nothing. */
  #changesByPlace(): Map<string, ChangeCall[]> {
    const places = new Set(
      this.records.flatMap((record) => ('places' in record ? (record.places ?? []) : [])),
    );
    const map = new Map<string, ChangeCall[]>([...places].map((place) => [place, []]));
    for (const change of this.#of('change').toSorted((a, b) => a.end - b.end)) {
      if (change.error !== undefined) continue;
      if (change.places) for (const place of change.places) map.get(place)!.push(change);
      else
        for (const place of places) if (isUnder(place, change.under!)) map.get(place)!.push(change);
    }
    return map;
  }
}

/** Of `changes`, which are sorted by their end, the latest that ended between the two times and is so. */
function latestWithin(
  changes: readonly ChangeCall[],
  after: number,
  before: number,
  isSo: (change: ChangeCall) => boolean,
): ChangeCall | undefined {
  let [low, high] = [0, changes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (changes[middle]!.end < before) low = middle + 1;
    else high = middle;
  }
  for (let index = low - 1; index >= 0 && changes[index]!.end > after; index--)
    if (isSo(changes[index]!)) return changes[index];
  return undefined;
}

function isUnder(place: string, scope: string): boolean {
  const path = place.slice(0, place.lastIndexOf('|'));
  return scope === '' || path === scope || path.startsWith(`${scope}/`);
}

function covers(change: ChangeCall, value: SeenValue): boolean {
  return change.tag === undefined || change.tag === value.tag;
}
