import type { LoadReport } from '../../core/cache-reader.js';
import type { LoadContext } from '../../core/cache-options.js';
import { CacheError } from '../../core/errors.js';
import type { MethodCall } from './call-context.js';
import { detailOf, memberOf, statusOf } from './cache-status.js';
import { bypassOf, OWN_LOAD, type Bypass } from './eligibility.js';
import type { HttpReply } from './http-reply.js';
import type { MethodPlan, PlannedCacheable } from './method-plan.js';
import type { MethodTools } from './method-tools.js';
import { byAddress, entryOf, placeOf, type Place } from './place.js';
import { atOnce, tagsAtOnce } from './own-answers.js';
import { pack, unpack } from './packed-result.js';
import { invoke, MethodFailure, NotShared, produce, type Produced } from './produce.js';
import { isSharedScope, selectorOf } from './scopes-of-call.js';

/**
 * One call of a method with `@Cacheable`: from the cache, or by running the method, once for all who wait. Faults of the cache
 * end here: the method then runs as if it were not decorated (P12).
 */
export class CachedRead {
  /** Set when this call itself ran the method. */
  #own: Produced | undefined;
  #isAnswered = false;

  constructor(
    readonly call: MethodCall,
    readonly plan: MethodPlan,
    readonly reply: HttpReply | undefined,
    readonly tools: MethodTools,
  ) {}

  /**
   * The answer at once, when it is a plain hit of a storage that needs no waiting; `undefined` for everything else, which
   * `run` then does from the start.
   */
  runNow(planned: PlannedCacheable): { readonly value: unknown } | undefined {
    const { cache, hits } = planned;
    if (!hits) return undefined;
    try {
      if (bypassOf(this.call, this.plan, planned)) return undefined;
      const key = this.tools.keys.encoded(this.call, this.plan, planned);
      const hit = cache.hitNow(key, selectorOf(planned, this.call), hits);
      return hit && { value: this.#answerWith(hit.value, () => this.tools.hits.of(hit.leftMs)) };
    } catch (error) {
      // Whatever it is, `run` meets it again and knows what to do with it.
      if (error instanceof Error) return undefined;
      throw error;
    }
  }

  /** @param lookups the operations whose condition holds, in order; at least one */
  async run(lookups: readonly PlannedCacheable[]): Promise<unknown> {
    try {
      for (const planned of lookups) {
        const bypass = bypassOf(this.call, this.plan, planned);
        if (bypass) return await this.#bypass(bypass);
      }
      const places = lookups.map((one) => placeOf(one, this.call, this.plan, this.tools));
      if (this.#isOwnLoad(places)) return await this.#bypass(OWN_LOAD);
      if (places.length > 1) return await this.#throughSeveral(places);
      return this.#answer(await this.#load(places[0]!, () => this.#produce(places)));
    } catch (error) {
      return await this.#recover(error);
    } finally {
      this.#isAnswered = true;
    }
  }

  /** It would wait for the load that waits for it. */
  #isOwnLoad(places: readonly Place[]): boolean {
    const { context } = this.tools;
    return (
      context.isLoading && places.some((place) => context.isLoadingOf(entryOf(place, this.tools)))
    );
  }

  async #throughSeveral(places: readonly Place[]): Promise<unknown> {
    for (const { planned, key, options } of places) {
      const found = await planned.cache.lookup(key, options);
      if (found.hit)
        return this.#answer({
          value: found.value,
          outcome: 'hit',
          stored: true,
          expiresAt: found.expiresAt,
        });
    }
    // Every method takes its keys in the same order, so two methods can never wait for each other.
    const [first, ...rest] = [...places].sort(byAddress);
    const inner = rest.reduceRight<() => Promise<unknown>>(
      (source, place) => async () => (await this.#load(place, source)).value,
      () => this.#produce(places),
    );
    return this.#answer(await this.#load(first!, inner));
  }

  #load(place: Place, source: () => Promise<unknown>): Promise<LoadReport<unknown>> {
    const { planned, key, options } = place;
    return planned.cache.getOrSetDetailed(
      key,
      async (load) => {
        const packed = await this.tools.context
          .load(entryOf(place, this.tools), source)
          .catch((error: unknown) => failed(load, error));
        await this.#decide(load, planned, unpack(packed).body);
        return packed;
      },
      options,
    );
  }

  async #produce(places: readonly Place[]): Promise<unknown> {
    const isShared = places.some(({ planned, options }) =>
      isSharedScope(planned.cache.scopes, options.scope),
    );
    const vary = places.flatMap(({ planned }) => planned.vary);
    const own = await produce(this.call, this.plan, this.reply, {
      isShared,
      vary,
      isAnswered: () => this.#isAnswered,
    });
    if (!this.#isAnswered) this.#own = own;
    if (own.refusal !== undefined) throw new NotShared(own.refusal);
    return pack(own.value, own.replay);
  }

  /** What only the result tells: whether to store it, for how long, and with which tags. */
  async #decide(load: LoadContext, { options }: PlannedCacheable, result: unknown): Promise<void> {
    const { unless, ttl, tags } = options;
    if (!unless && typeof ttl !== 'function' && typeof tags !== 'function') return;
    const after = this.call.finished(result);
    if (unless && (await unless(after))) load.skipStore();
    if (typeof ttl === 'function') load.setTtl(atOnce(ttl(after), 'ttl'));
    if (typeof tags === 'function') load.addTags(...tagsAtOnce(tags(after)));
  }

  #answer(report: LoadReport<unknown>): unknown {
    const own = this.#own;
    if (report.outcome === 'stale' && own?.refusal !== undefined) throw new NotShared(own.refusal);
    return this.#answerWith(report.value, () => memberOf(statusOf(report, this.tools.clock.now())));
  }

  /** @param member what to announce */
  #answerWith(value: unknown, member: () => string): unknown {
    const { body, replay } = unpack(value);
    if (this.reply) {
      if (replay && !this.#own) this.reply.replay(replay);
      this.reply.announceMember(member());
    }
    return body;
  }

  /** The caller's answer when the cache had none: its own run of the method if there was one, or a run without the cache. */
  async #recover(error: unknown): Promise<unknown> {
    // oxlint-disable-next-line typescript/only-throw-error -- the method's own, whatever it is
    if (error instanceof MethodFailure) throw error.thrown;
    const own = this.#own;
    if (error instanceof NotShared) {
      if (error.refusal !== 'stream') this.#explain(error.refusal);
      this.reply?.announce(`fwd=miss; detail=${error.refusal}`);
      return own ? own.value : await invoke(this.call, this.plan);
    }
    if (!isOfTheCache(error) || (error.code === 'MISSING_SCOPE' && this.#mustThrow())) throw error;
    this.tools.warnings.once(
      this.plan.label,
      error.code,
      `${error.message} Until then it runs uncached.`,
    );
    if (own) {
      this.reply?.announce(`fwd=miss; detail=${detailOf(error)}`);
      return own.value;
    }
    this.reply?.announce(`fwd=bypass; detail=${detailOf(error)}`);
    return await invoke(this.call, this.plan);
  }

  #mustThrow(): boolean {
    return this.plan.cacheables.some(({ options }) => options.onMissingScope === 'throw');
  }

  #explain(refusal: string): void {
    this.tools.warnings.once(
      this.plan.label,
      refusal,
      `its response is not stored (${refusal}): see "what is never stored" in docs/decorators.md.`,
    );
  }

  async #bypass({ status, warning }: Bypass): Promise<unknown> {
    if (warning) this.tools.warnings.once(this.plan.label, status, warning);
    this.reply?.announce(status);
    return invoke(this.call, this.plan);
  }
}

function failed(load: LoadContext, error: unknown): never {
  if (error instanceof MethodFailure && error.isAnswer) load.setGrace(0);
  throw error;
}

const RECOVERABLE = [
  'MISSING_SCOPE',
  'INVALID_KEY',
  // What functions of the call answered: options that are wrong from the start stop the application.
  'UNKNOWN_SCOPE',
  'INVALID_DURATION',
  'INVALID_OPTIONS',
  'SERIALIZATION',
  'STORAGE_UNAVAILABLE',
  'UNSUPPORTED',
];

function isOfTheCache(error: unknown): error is CacheError {
  return error instanceof CacheError && RECOVERABLE.includes(error.code);
}
