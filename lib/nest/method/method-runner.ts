import type { ExecutionContext } from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';
import type { CacheRegistry } from '../cache-registry.js';
import { CurrentRequest } from '../request-context.js';
import type { RequestScopeContext } from '../scope-context.js';
import { MethodCall } from './call-context.js';
import type { CachedMethod } from './cached-method.js';
import { CachedRead } from './cached-read.js';
import { EvictStep } from './evict-step.js';
import { HttpReply } from './http-reply.js';
import { planMethod, type MethodPlan, type Planned, type PlannedCacheable } from './method-plan.js';
import type { MethodTools } from './method-tools.js';
import type { OperationOptions } from './operation-options.js';
import { invoke } from './produce.js';
import { PutFences } from './put-fences.js';
import { PutStep } from './put-step.js';

type Class = { name: string; prototype: object };

/**
 * Runs the decorated methods of one application. The order of steps, which is Spring's, is written here and nowhere else:
 * evictions before, look-ups, the method, puts, evictions after success.
 */
export class MethodRunner {
  readonly #plans = new WeakMap<CachedMethod, Map<object, MethodPlan>>();
  /** Names of entries that have variants by header, as far as their methods have been planned. */
  readonly #varied = new Set<string>();

  /** @internal made by CacheModule */
  constructor(
    readonly registry: CacheRegistry,
    readonly context: RequestScopeContext,
    readonly tools: MethodTools,
    readonly adapterHost: HttpAdapterHost | undefined,
  ) {}

  /** @param execution set when Nest calls a handler */
  run(
    method: CachedMethod,
    target: object,
    args: unknown[],
    execution: ExecutionContext | undefined,
  ): unknown {
    const plan = this.planOf(method, target.constructor);
    const open = this.context.request;
    const handled = execution ?? this.#handledBy(open, target, method);
    if (!handled) return this.#steps(new MethodCall(target, args, open, undefined), plan);
    if (open && (open.executionContext === handled || open.isHttpOf(handled))) {
      open.executionContext = handled;
      return this.#steps(new MethodCall(target, args, open, handled), plan);
    }
    const current = CurrentRequest.from(handled);
    return this.context.serve(current, () =>
      this.#steps(new MethodCall(target, args, current, handled), plan),
    );
  }

  /** Made once for each class that has the method. */
  planOf(method: CachedMethod, type: Class): MethodPlan {
    let plans = this.#plans.get(method);
    if (!plans) this.#plans.set(method, (plans = new Map()));
    let plan = plans.get(type);
    if (!plan) {
      plan = planMethod(method, type, this.registry, this.tools.madeFor(type));
      plans.set(type, plan);
      for (const { name, vary } of plan.cacheables) if (vary.length > 0) this.#varied.add(name);
    }
    return plan;
  }

  /** Whether a method that has been planned keeps variants by header under this name. */
  hasVariants(name: string): boolean {
    return this.#varied.has(name);
  }

  /** Message handlers without decorated parameters: the interceptor has noted the context of the one that is running. */
  #handledBy(
    open: CurrentRequest | undefined,
    target: object,
    method: CachedMethod,
  ): ExecutionContext | undefined {
    const running = open?.executionContext;
    if (!running || running.getType() === 'http') return undefined;
    const handler = (target as Record<string | symbol, unknown>)[method.name];
    return running.getHandler() === handler ? running : undefined;
  }

  #steps(call: MethodCall, plan: MethodPlan): unknown {
    return plan.puts.length === 0 && plan.evicts.length === 0
      ? this.#value(call, plan, [])
      : this.#allSteps(call, plan);
  }

  async #allSteps(call: MethodCall, plan: MethodPlan): Promise<unknown> {
    const fences = new PutFences();
    const evicts = plan.evicts.map((planned) => new EvictStep(planned, call, plan, this.tools));
    const puts = plan.puts.map((planned) => new PutStep(planned, call, plan, this.tools, fences));
    try {
      for (const step of evicts) if (step.isBefore) await step.run(call);
      for (const { planned } of puts) fences.of(planned.cache);
      const value = await this.#value(call, plan, puts);
      const after = call.finished(value);
      for (const step of puts) await step.run(after);
      for (const step of evicts) if (!step.isBefore) await step.run(after);
      return value;
    } finally {
      fences.close();
    }
  }

  /** The method's value, cached or not. Without conditions it costs no promise of its own. */
  #value(call: MethodCall, plan: MethodPlan, puts: PutStep[]): unknown {
    if (plan.cacheables.length === 0) return invoke(call, plan);
    if (puts.length > 0 || hasConditions(plan.cacheables))
      return this.#chosenValue(call, plan, puts);
    return this.#read(call, plan, plan.cacheables);
  }

  /** A put that is going to happen makes the method run. */
  async #chosenValue(call: MethodCall, plan: MethodPlan, puts: PutStep[]): Promise<unknown> {
    const lookups = await active(plan.cacheables, call);
    if (lookups.length === 0) {
      this.#replyOf(call)?.announce('fwd=bypass; detail=condition');
      return invoke(call, plan);
    }
    if (puts.length > 0 && (await active(plan.puts, call)).length > 0) {
      // What the look-ups would have found is outdated by what the method is about to do.
      const { fences } = puts[0]!;
      for (const planned of lookups) {
        fences.of(planned.cache);
        puts.push(new PutStep(planned, call, plan, this.tools, fences));
      }
      this.#replyOf(call)?.announce('fwd=bypass; detail=put');
      return invoke(call, plan);
    }
    return this.#read(call, plan, lookups);
  }

  #read(call: MethodCall, plan: MethodPlan, lookups: readonly PlannedCacheable[]): unknown {
    const read = new CachedRead(call, plan, this.#replyOf(call), this.tools);
    // Nest takes a handler's answer with or without a promise; callers of provider methods count on one.
    const isHandler = call.executionContext?.getType() === 'http' && !plan.method.returnsObservable;
    const now = isHandler && lookups.length === 1 ? read.runNow(lookups[0]!) : undefined;
    return now ? now.value : read.run(lookups);
  }

  #replyOf(call: MethodCall): HttpReply | undefined {
    const adapter = this.adapterHost?.httpAdapter;
    if (!adapter || call.executionContext?.getType() !== 'http') return undefined;
    return new HttpReply(adapter, call.executionContext.getArgByIndex(1));
  }
}

/** Those whose condition holds. One that asks for the result, which is not there yet, counts as holding. */
async function active<P extends Planned<OperationOptions>>(
  planned: readonly P[],
  call: MethodCall,
): Promise<readonly P[]> {
  if (!hasConditions(planned)) return planned;
  const holding: P[] = [];
  for (const one of planned) if (await mayHold(one, call)) holding.push(one);
  return holding;
}

async function mayHold({ options }: Planned<OperationOptions>, call: MethodCall): Promise<boolean> {
  call.askedForResult = false;
  try {
    return (
      options.condition === undefined || (await options.condition(call)) || call.askedForResult
    );
  } catch (error) {
    // It looked into a result that is not there yet.
    if (call.askedForResult) return true;
    throw error;
  }
}

function hasConditions(planned: readonly Planned<OperationOptions>[]): boolean {
  return planned.some(({ options }) => options.condition !== undefined);
}
