import type { Place } from './places.js';

/** What the places hold: the state of the source that somebody saw. */
export interface Versioned {
  readonly v: number;
  readonly place: string;
  /** The write that brought it, 1 and up; 0: a load or a put, which must not outlive what comes after its begin. */
  readonly by: number;
  /** A loader answered with the stale value that it was shown, which is right for what was only expired. */
  readonly isRepeated?: boolean;
}

/** A change of the source at some places, and the call that told the cache of it, from its begin to its end. */
export interface Told {
  readonly node: number;
  readonly begin: number;
  /** `Infinity` until it has resolved, and for ever when it rejected. */
  end: number;
  /** On the clock of the race, when it ended. */
  endedAt: number;
  readonly onlyExpires: boolean;
}

interface Change {
  readonly told: Told;
  readonly version: number;
}

/** A call that starts now must see what this says. */
export interface Since {
  readonly tick: number;
  readonly node: number;
  readonly at: number;
}

/**
 * The source, what was told of it, and which values a read may see (P5).
 *
 * A value is too old for a read when the source was changed after it, the cache was told of that and had resolved before
 * the read began, and the value was not written by a call that overlaps with that one: of two calls at once, either may be
 * the later one.
 */
export class History {
  readonly log: string[] = [];
  readonly #versions = new Map<string, number>();
  readonly #changes = new Map<string, Change[]>();
  readonly #writes: Told[] = [];
  readonly #counts: Told[] = [];
  #tick = 0;

  /** @param spreadMs how long what one node was told may take to reach another; `Infinity` if it never has to */
  constructor(
    readonly now: () => number,
    readonly spreadMs = 0,
  ) {}

  /** The source at a place. `by`: see {@link Versioned}. */
  current(place: Place, by = 0): Versioned {
    return { v: this.#versions.get(place.id) ?? 0, place: place.id, by };
  }

  /** The number of a write, for the values that it brings. */
  numberOf(write: Told): number {
    return this.#writes.push(write);
  }

  begin(node = 0, onlyExpires = false): Told {
    return { node, begin: ++this.#tick, end: Infinity, endedAt: Infinity, onlyExpires };
  }

  end(told: Told): void {
    told.end = ++this.#tick;
    told.endedAt = this.now();
  }

  /** The source is another one at these places, and the cache is being told. */
  change(places: readonly Place[], told: Told): void {
    for (const { id } of places) {
      const version = (this.#versions.get(id) ?? 0) + 1;
      this.#versions.set(id, version);
      this.#changes.set(id, [...(this.#changes.get(id) ?? []), { told, version }]);
    }
  }

  beginCount(): Told {
    const told = this.begin();
    this.#counts.push(told);
    return told;
  }

  since(node = 0): Since {
    return { tick: ++this.#tick, node, at: this.now() };
  }

  /** Why the read must not have seen the value; `undefined` if it may. */
  judge(value: Versioned, since: Since, acceptsStale: boolean): string | undefined {
    const { v, place, by } = value;
    const isExcused = acceptsStale || value.isRepeated === true;
    const write = by > 0 ? this.#writes[by - 1]! : undefined;
    const outdating = (this.#changes.get(place) ?? []).find(
      ({ told, version }) =>
        version > v &&
        !(isExcused && told.onlyExpires) &&
        this.#mustSee(since, told) &&
        (write === undefined || write.end <= told.begin),
    );
    return outdating && `version ${v} (write ${by}) after ${outdating.version}`;
  }

  /** The same for a counter: what was counted before an eviction must not be counted on. */
  judgeCount(count: number, place: Place, since: Since): string | undefined {
    const evictions = (this.#changes.get(place.id) ?? []).filter(({ told }) =>
      this.#mustSee(since, told),
    );
    const most = this.#counts.filter(({ end }) =>
      evictions.every(({ told }) => end > told.begin),
    ).length;
    return count > most ? `count ${count} of at most ${most}` : undefined;
  }

  #mustSee(since: Since, told: Told): boolean {
    if (told.end > since.tick) return false;
    return told.node === since.node || told.endedAt + this.spreadMs < since.at;
  }
}
