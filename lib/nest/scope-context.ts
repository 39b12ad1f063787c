import { AsyncLocalStorage } from 'node:async_hooks';
import type { ScopeContext, ScopeIds, ScopeNode } from '../core/scope.js';
import { idFromRequest, whereIdsAreLookedFor } from './default-resolvers.js';
import { NO_REQUEST, type CurrentRequest, type RequestContext } from './request-context.js';

/** What is known while some work runs: the request it serves, and ids that `runInScope` gave it. */
interface Surroundings {
  readonly request: CurrentRequest | undefined;
  /** Innermost first. */
  readonly given: readonly ScopeIds[];
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
    const given = this.#surroundings.getStore()?.given ?? [];
    return this.#surroundings.run({ request, given }, work);
  }

  /**
   * Runs `work` with these ids. They answer alone for every level of their tree: the request's user never completes the
   * given organization, because user ids may repeat from one organization to the next.
   */
  run<T>(ids: ScopeIds, work: () => T): T {
    const outer = this.#surroundings.getStore();
    return this.#surroundings.run(
      { request: outer?.request, given: [ids, ...(outer?.given ?? [])] },
      work,
    );
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
