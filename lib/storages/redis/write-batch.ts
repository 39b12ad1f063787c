import { StorageUnavailableError } from '../../core/errors.js';
import type { Argument, Commands } from './commands.js';
import { faultOf } from './faults.js';
import type { Place, ScopeKeys } from './layout.js';
import { WRITE_MANY } from './scripts.js';
import type { ServerClock } from './server-clock.js';

/** One entry on its way. */
export interface Put {
  readonly place: Place;
  readonly score: string;
  /** Whole ms; 0: forever. */
  readonly life: number;
  readonly tags: string;
  readonly envelope: Buffer;
}

interface Waiting extends Put {
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
  #sent = 0;

  constructor(
    readonly commands: Commands,
    readonly clock: ServerClock,
    readonly token: () => string,
  ) {}

  put(put: Put): Promise<void> {
    const { bucket } = put.place.scope;
    const group = this.commands.connection.isCluster ? bucket : 0;
    let batch = this.#open.get(group);
    if (!batch) {
      const started = new Batch(bucket);
      this.#open.set(group, started);
      setImmediate(() => this.#send(group, started));
      batch = started;
    }
    const done = batch.add(put);
    if (batch.isFull) this.#send(group, batch);
    return done;
  }

  #send(group: number, batch: Batch): void {
    if (this.#open.get(group) !== batch) return;
    this.#open.delete(group);
    const sweepAt = this.#sent++ % SWEEP_EVERY === 0 ? this.clock.now() : '';
    batch.send(this.commands, this.token(), sweepAt);
  }
}

class Batch {
  readonly #groups = new Map<ScopeKeys, Waiting[]>();
  #size = 0;
  #bytes = 0;

  constructor(readonly bucket: number) {}

  get isFull(): boolean {
    return this.#size >= BATCH_MAX || this.#bytes >= BATCH_BYTES_MAX;
  }

  add(put: Put): Promise<void> {
    this.#size++;
    this.#bytes += put.envelope.length;
    return new Promise((resolve, reject) => {
      const waiting = { ...put, resolve, reject };
      const group = this.#groups.get(put.place.scope);
      if (group) group.push(waiting);
      else this.#groups.set(put.place.scope, [waiting]);
    });
  }

  send(commands: Commands, token: string, sweepAt: Argument): void {
    const keys: string[] = [];
    const args: Argument[] = [token, sweepAt];
    for (const [scope, puts] of this.#groups) {
      keys.push(...scope.nodes);
      args.push(scope.scriptBase, scope.nodes.length, puts.length);
      for (const { place, score, life, tags, envelope } of puts) {
        keys.push(place.entryKey, place.leaseKey);
        args.push(place.name, score, life, tags, envelope);
      }
    }
    const all = [...this.#groups.values()].flat();
    commands.runBatch(WRITE_MANY, this.bucket, [keys.length, ...keys, ...args]).then(
      (answers) => settle(all, answers as string[]),
      (error: unknown) => {
        for (const { reject } of all) reject(error);
      },
    );
  }
}

function settle(all: readonly Waiting[], answers: readonly string[]): void {
  for (const [at, { resolve, reject }] of all.entries()) {
    const problem = answers[at];
    if (problem === '') resolve();
    else
      reject(
        problem === undefined
          ? new StorageUnavailableError('Redis: an incomplete answer.')
          : faultOf(new Error(problem)),
      );
  }
}
