import type { Replay } from './http-reply.js';

const MARK = '@http';

/** A result with what has to be replayed beside it. */
interface Packed extends Replay {
  readonly [MARK]: 1;
  readonly body: unknown;
}

/**
 * The form in which a result is stored: itself, so that `CacheService` and provider methods can read it, unless a status or
 * headers go with it. A result that looks like such a package is packed too, so nothing is taken for one by mistake.
 */
export function pack(body: unknown, replay: Replay): unknown {
  const isBare = replay.status === undefined && replay.headers === undefined;
  return isBare && !isPacked(body) ? body : ({ [MARK]: 1, body, ...replay } satisfies Packed);
}

/** What {@link pack} was given. */
export function unpack(stored: unknown): { body: unknown; replay: Replay | undefined } {
  return isPacked(stored)
    ? { body: stored.body, replay: stored }
    : { body: stored, replay: undefined };
}

function isPacked(value: unknown): value is Packed {
  return value !== null && typeof value === 'object' && Object.hasOwn(value, MARK);
}
