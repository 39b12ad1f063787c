/** Beats of one's own without one of the other's, after which that one counts as dead: more than a minute. */
const BEATS_MAX = 5;
/** Processes remembered; forgetting one only makes it live longer. */
const KNOWN_MAX = 1_024;

interface LastBeat {
  /** What its file said, on whatever clock. */
  readonly mtimeMs: number;
  /** How often this process had beaten when it saw that first. */
  readonly seenAt: number;
}

/**
 * Who has stopped showing that it is alive. No clock is compared with another, nor with itself: a process whose clock is set, or
 * differs from ours by hours, must not lose what it holds, and neither must those that were stopped together with this one.
 * So this process's own beats are counted, from when it saw the other's latest one.
 */
export class Silence {
  readonly #known = new Map<string, LastBeat>();
  #beats = 0;

  /** This process has shown that it is alive itself. */
  noteOwnBeat(): void {
    this.#beats++;
  }

  /** Whether the other's file has said the same for too long. Whoever is met for the first time has time to beat. */
  isSilent(id: string, mtimeMs: number): boolean {
    const last = this.#known.get(id);
    if (last?.mtimeMs === mtimeMs) return this.#beats - last.seenAt > BEATS_MAX;
    if (this.#known.size >= KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(id, { mtimeMs, seenAt: this.#beats });
    return false;
  }

  /** Those that have left need not be remembered. */
  keepOnly(ids: readonly string[]): void {
    const there = new Set(ids);
    for (const id of this.#known.keys()) if (!there.has(id)) this.#known.delete(id);
  }
}
