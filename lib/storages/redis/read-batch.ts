import type { Budget } from './budget.js';
import type { Commands } from './commands.js';
import type { Place } from './layout.js';

/** What lies on the server for one entry: its bytes, and its nodes, global first. Read in one step. */
export interface Sight {
  readonly bytes: Buffer | null;
  readonly nodes: readonly (Buffer | null)[];
  /** What its reader may still wait for, should one step not be enough. */
  readonly budget: Budget;
}

interface Waiting {
  readonly entryAt: number;
  readonly nodesAt: number;
  readonly depth: number;
  readonly resolve: (sight: Sight) => void;
  readonly reject: (error: unknown) => void;
}

/** Small enough for the server to work on one while the next is made. */
const BATCH_MAX = 32;

/**
 * Reads that begin in one turn of the event loop go out as one MGET (on a Cluster, one for each bucket), and nodes that
 * they share are asked for once. That is fewer and shorter commands than a GET each.
 */
export class ReadBatches {
  readonly #open = new Map<number, Batch>();

  constructor(readonly commands: Commands) {}

  /** @param budget of an operation that has looked before: then it is sent by itself */
  look(place: Place, budget?: Budget): Promise<Sight> {
    if (budget) return this.#lookAlone(place, budget);
    const group = this.commands.connection.isCluster ? place.scope.bucket : 0;
    let batch = this.#open.get(group);
    if (!batch) {
      batch = new Batch(this.commands, place.scope.bucket);
      this.#open.set(group, batch);
      const first = batch;
      setImmediate(() => this.#send(group, first));
    }
    const sight = batch.add(place);
    if (batch.size >= BATCH_MAX) this.#send(group, batch);
    return sight;
  }

  async #lookAlone({ scope, entryKey }: Place, budget: Budget): Promise<Sight> {
    const [bytes = null, ...nodes] = await this.commands.mget(
      scope.bucket,
      [entryKey, ...scope.nodes],
      budget,
    );
    return { bytes, nodes, budget };
  }

  #send(group: number, batch: Batch): void {
    if (this.#open.get(group) !== batch) return;
    this.#open.delete(group);
    batch.send();
  }
}

class Batch {
  readonly #keys: string[] = [];
  readonly #waiting: Waiting[] = [];
  /** Where the nodes of a scope begin, by the key of its deepest one. */
  readonly #nodesAt = new Map<string, number>();

  constructor(
    readonly commands: Commands,
    readonly bucket: number,
  ) {}

  get size(): number {
    return this.#waiting.length;
  }

  add(place: Place): Promise<Sight> {
    const { nodes } = place.scope;
    const deepest = nodes[nodes.length - 1]!;
    let nodesAt = this.#nodesAt.get(deepest);
    if (nodesAt === undefined) {
      nodesAt = this.#keys.length;
      this.#keys.push(...nodes);
      this.#nodesAt.set(deepest, nodesAt);
    }
    const entryAt = this.#keys.push(place.entryKey) - 1;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entryAt, nodesAt, depth: nodes.length, resolve, reject });
    });
  }

  send(): void {
    const budget = this.commands.budget();
    this.commands.mget(this.bucket, this.#keys).then(
      (values) => {
        for (const { entryAt, nodesAt, depth, resolve } of this.#waiting)
          resolve({
            bytes: values[entryAt] ?? null,
            nodes: values.slice(nodesAt, nodesAt + depth),
            budget,
          });
      },
      (error: unknown) => {
        for (const { reject } of this.#waiting) reject(error);
      },
    );
  }
}
