import { StorageUnavailableError } from '../../core/errors.js';
import type { Commands } from './commands.js';
import type { Argument } from './lua.js';
import { faultOf } from './faults.js';
import type { Place, ScopeKeys } from './layout.js';
import { PackedEntries, type EntryHead, type Seal } from './packed-entries.js';
import { WRITE_MANY } from './scripts.js';
import type { ServerClock } from './server-clock.js';

/** What is known of an entry on its way beside its place. */
export type Put = Omit<EntryHead, 'name'>;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Small enough for the server to work on one while the next is made. */
const BATCH_MAX = 16;
const BATCH_BYTES_MAX = 256 * 1024;
const SWEEP_EVERY = 16;

/**
 * Writes that begin in one turn of the event loop go out as one script (on a Cluster, one for each bucket): what they
 * share, the nodes and indexes of their scopes, is looked up once.
 */
export class WriteBatches {
  readonly #open = new Map<number, Batch>();
  #underWay = 0;
  #sent = 0;

  constructor(
    readonly commands: Commands,
    readonly clock: ServerClock,
    readonly token: () => string,
  ) {}

  /** Throws what `seal` throws; then nothing has been added. */
  put(place: Place, put: Put, seal: Seal): Promise<void> {
    const { bucket } = place.scope;
    const { isCluster } = this.commands.connection;
    const group = isCluster ? bucket : 0;
    const batch = this.#open.get(group) ?? this.#begin(group, new Batch(bucket, isCluster));
    const done = batch.add(place, put, seal);
    if (batch.isFull) this.#send(group, batch);
    return done;
  }

  /** While nothing is on its way there is no reason to wait for company, beyond what this very moment brings. */
  #begin(group: number, batch: Batch): Batch {
    this.#open.set(group, batch);
    const send = (): void => this.#send(group, batch);
    if (this.#underWay === 0) queueMicrotask(send);
    else setImmediate(send);
    return batch;
  }

  #send(group: number, batch: Batch): void {
    if (this.#open.get(group) !== batch) return;
    this.#open.delete(group);
    if (batch.isEmpty) return;
    const sweepAt = this.#sent++ % SWEEP_EVERY === 0 ? this.clock.now() : '';
    this.#underWay++;
    void batch.send(this.commands, this.token(), sweepAt).then(() => this.#underWay--);
  }
}

class Batch {
  readonly #groups = new Map<ScopeKeys, number>();
  readonly #nodes: string[] = [];
  /** For each group: the base of its keys, and how many nodes. */
  readonly #bases: Argument[] = [];
  /** What a Cluster wants to see of the keys that the script makes from names. */
  readonly #derived: string[] = [];
  readonly #entries = new PackedEntries();
  readonly #waiting: Waiting[] = [];

  constructor(
    readonly bucket: number,
    readonly isCluster: boolean,
  ) {}

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  get isFull(): boolean {
    return this.#waiting.length >= BATCH_MAX || this.#entries.size >= BATCH_BYTES_MAX;
  }

  add(place: Place, { tags, score, life }: Put, seal: Seal): Promise<void> {
    const group = this.#groups.get(place.scope) ?? this.#groupFor(place.scope);
    this.#entries.add(group, { name: place.name, tags, score, life }, seal);
    if (this.isCluster) this.#derived.push(place.entryKey, place.leaseKey);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }

  /** Resolves when it is answered, whatever the answer. */
  async send(commands: Commands, token: string, sweepAt: Argument): Promise<void> {
    const keys = [...this.#nodes, ...this.#derived];
    const own = [token, sweepAt, this.#entries.bytes, ...this.#bases];
    try {
      const answers = await commands.runBatch(WRITE_MANY, this.bucket, [
        keys.length,
        ...keys,
        ...own,
      ]);
      this.#settle(answers);
    } catch (error) {
      for (const { reject } of this.#waiting) reject(error);
    }
  }

  #groupFor(scope: ScopeKeys): number {
    const group = this.#groups.size;
    this.#groups.set(scope, group);
    this.#nodes.push(...scope.nodes);
    this.#bases.push(scope.scriptBase, scope.nodes.length);
    return group;
  }

  /** The server answers with the number of entries, or, when one went wrong, with what did for each. */
  #settle(answers: unknown): void {
    const problems = Array.isArray(answers) ? (answers as string[]) : undefined;
    const isWhole = problems
      ? problems.length === this.#waiting.length
      : answers === this.#waiting.length;
    for (const [at, { resolve, reject }] of this.#waiting.entries()) {
      const problem = problems?.[at] ?? '';
      if (!isWhole) reject(new StorageUnavailableError('Redis: an incomplete answer.'));
      else if (problem === '') resolve();
      else reject(faultOf(new Error(problem)));
    }
  }
}
