import { HttpException, StreamableFile } from '@nestjs/common';
import { isObservable, lastValueFrom } from 'rxjs';
import type { MethodCall } from './call-context.js';
import type { HttpReply, Replay } from './http-reply.js';
import type { MethodPlan } from './method-plan.js';

/** What a run of the method came to. */
export interface Produced {
  readonly value: unknown;
  readonly replay: Replay;
  /** Why it must be neither stored nor given to others who wait for it; a word for `Cache-Status`. */
  readonly refusal: string | undefined;
}

/** What the method threw, so that it can be told from what the cache throws. */
export class MethodFailure extends Error {
  constructor(readonly thrown: unknown) {
    super(thrown instanceof Error ? thrown.message : 'The method failed.', { cause: thrown });
  }

  /** "Not found", "forbidden" and the like: no outage, so nothing stale may be answered instead. */
  get isAnswer(): boolean {
    if (!(this.thrown instanceof HttpException)) return false;
    const status = this.thrown.getStatus();
    return status < 500 && !OUTAGES.includes(status);
  }
}

/** "Request timeout" and "too many requests": what a busy source says. */
const OUTAGES = [408, 429];

/** The method ran, but its result belongs to its own caller alone. */
export class NotShared extends Error {
  constructor(readonly refusal: string) {
    super(`The result is not stored: ${refusal}.`);
  }
}

/** Runs the method as written; of an Observable, waits for the last value. */
export async function invoke(call: MethodCall, plan: MethodPlan): Promise<unknown> {
  const returned = plan.method.call(call.target, call.args);
  const value: unknown = isObservable(returned) ? returned : await returned;
  return isObservable(value) ? lastValueFrom(value, { defaultValue: undefined }) : value;
}

/**
 * Runs the method and judges what came of it.
 * @param isAnswered whether the caller has its answer already, so that the response is nobody's to read any more
 * @throws MethodFailure with what the method threw
 */
export async function produce(
  call: MethodCall,
  plan: MethodPlan,
  reply: HttpReply | undefined,
  storing: { isShared: boolean; vary: readonly string[]; isAnswered: () => boolean },
): Promise<Produced> {
  const before = storing.isAnswered() ? undefined : reply?.read();
  let value: unknown;
  try {
    value = await invoke(call, plan);
  } catch (error) {
    throw new MethodFailure(error);
  }
  const streamed = isStream(value) ? 'stream' : undefined;
  if (!reply || streamed) return { value, replay: {}, refusal: streamed };
  if (!before || storing.isAnswered())
    return {
      value,
      replay: {},
      refusal: plan.inputs.takesResponse ? 'refreshed-in-background' : undefined,
    };
  const refusal = reply.refusal(before, storing.isShared, storing.vary);
  return { value, replay: refusal ? {} : reply.changesSince(before), refusal };
}

/** What can be read only once, a `Response` of fetch included. By shape: streams may come from another realm or library. */
function isStream(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return false;
  const { pipe, getReader } = value as { pipe?: unknown; getReader?: unknown };
  return (
    value instanceof StreamableFile ||
    typeof pipe === 'function' ||
    typeof getReader === 'function' ||
    'bodyUsed' in value ||
    isGenerator(value)
  );
}

function isGenerator(value: object): boolean {
  return (
    Symbol.asyncIterator in value ||
    /^\[object (Async )?(Generator|Iterator)/.test(Object.prototype.toString.call(value))
  );
}
