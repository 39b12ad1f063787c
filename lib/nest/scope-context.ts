import { AsyncLocalStorage } from 'node:async_hooks';
import type { ScopeContext, ScopeIds, ScopeNode } from '../core/scope.js';
import { idFromRequest, whereIdsAreLookedFor } from './default-resolvers.js';
import { NO_REQUEST, type CurrentRequest, type RequestContext } from './request-context.js';

/** What is known while some work runs: the request it serves, ids that `runInScope` gave it, loads that wait for it. */
interface Surroundings {
  readonly request: CurrentRequest | undefined;
  /** Innermost first. */
  readonly given: readonly ScopeIds[];
  /** The loads that the work is part of. */
  readonly loads: readonly OpenLoad[];
}

/** A decorated method that runs to fill an entry. Work that it left behind may outlive it. */
interface OpenLoad {
  readonly entry: string;
  isOver: boolean;
}

/**
 * Where level names find their ids. One AsyncLocalStorage for each module instance, so applications in one process share
 * nothing. Ids are looked up when they are asked for: a guard may attach the user long after the request began.
 */
export class RequestScopeContext implements ScopeContext {
  readonly #surroundings = new AsyncLocalStorage<Surroundings>();

  /** The request that is being served here, if any. */
  get request(): CurrentRequest | undefined {
    return this.#surroundings.getStore()?.request;
  }

  /** Runs `work` as part of serving `request`. Ids given further out still answer first. */
  serve<T>(request: CurrentRequest, work: () => T): T {
    const { given = [], loads = [] } = this.#surroundings.getStore() ?? {};
    return this.#surroundings.run({ request, given, loads }, work);
  }

  /**
   * Runs `work` with these ids. They answer alone for every level of their tree: the request's user never completes the
   * given organization, because user ids may repeat from one organization to the next.
   */
  run<T>(ids: ScopeIds, work: () => T): T {
    const outer = this.#surroundings.getStore();
    return this.#surroundings.run(
      {
        request: outer?.request,
        given: [ids, ...(outer?.given ?? [])],
        loads: outer?.loads ?? [],
      },
      work,
    );
  }

  /** Runs `work`, which brings the value of an entry; `entry` is its name among all entries of the application. */
  async load<T>(entry: string, work: () => Promise<T>): Promise<T> {
    const { request, given = [], loads = [] } = this.#surroundings.getStore() ?? {};
    const own: OpenLoad = { entry, isOver: false };
    try {
      return await this.#surroundings.run({ request, given, loads: [own, ...loads] }, work);
    } finally {
      own.isOver = true;
    }
  }

  /** Whether this work is part of any load; cheap, so that most calls need not ask which. */
  get isLoading(): boolean {
    return (this.#surroundings.getStore()?.loads.length ?? 0) > 0;
  }

  /** Whether this work is part of a load of that entry, which has to end before the entry can be read. */
  isLoadingOf(entry: string): boolean {
    const loads = this.#surroundings.getStore()?.loads ?? [];
    return loads.some((load) => load.entry === entry && !load.isOver);
  }

  idOf(level: ScopeNode): unknown {
    const surroundings = this.#surroundings.getStore();
    for (const ids of surroundings?.given ?? []) if (speaksFor(ids, level)) return ids[level.name];
    const request: RequestContext = surroundings?.request ?? NO_REQUEST;
    return level.resolve ? (level.resolve(request) as unknown) : idFromRequest(level.name, request);
  }

  lookedAt(level: ScopeNode): string {
    const surroundings = this.#surroundings.getStore();
    if (surroundings?.given.some((ids) => speaksFor(ids, level))) return 'the ids of runInScope';
    if (level.resolve) return `the resolver of level "${level.name}"`;
    if (!surroundings?.request) return 'nothing, since no request is being served here';
    return whereIdsAreLookedFor(level.name, surroundings.request);
  }
}

/** Ids name a whole path, so they name the root of every level in their tree. */
function speaksFor(ids: ScopeIds, level: ScopeNode): boolean {
  return Object.hasOwn(ids, level.chain[0]!.name);
}
