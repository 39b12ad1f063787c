import type { RequestContext } from './request-context.js';

/** Where the ids of the levels that everybody has are found: fields of the user, in this order. */
const USER_FIELDS: Readonly<Record<string, readonly string[]>> = {
  org: ['orgId', 'organizationId', 'tenantId'],
  user: ['id', 'userId', 'sub'],
};

/** A level's id by the built-in rules. Only what the server established itself is looked at, never headers, query or body (P2). */
export function idFromRequest(level: string, context: RequestContext): unknown {
  return level === 'session' ? sessionId(context) : firstOf(context.user, fieldsOf(level));
}

/** For messages: what {@link idFromRequest} looks at, and whether it was there at all. */
export function whereIdsAreLookedFor(level: string, context: RequestContext): string {
  const { user } = context;
  if (level === 'session')
    return `request.session.id, request.session.sessionId, request.sessionID and request.user.sessionId; ${presence('session', context.session)}, ${presence('user', user)}`;
  const fields = fieldsOf(level).map((field) => `request.user.${field}`);
  return `${fields.join(', ')}; ${presence('user', user)}`;
}

function fieldsOf(level: string): readonly string[] {
  return Object.hasOwn(USER_FIELDS, level) ? USER_FIELDS[level]! : [`${level}Id`];
}

function sessionId({ session, request, user }: RequestContext): unknown {
  return (
    firstOf(session, ['id', 'sessionId']) ??
    firstOf(request, ['sessionID']) ??
    firstOf((request as { raw?: unknown } | undefined)?.raw, ['sessionID']) ??
    firstOf(user, ['sessionId'])
  );
}

function firstOf(holder: unknown, fields: readonly string[]): unknown {
  if (holder === null || typeof holder !== 'object') return undefined;
  for (const field of fields) {
    const value = (holder as Record<string, unknown>)[field];
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

function presence(what: string, value: unknown): string {
  return value === undefined || value === null
    ? `request.${what} is not set`
    : `request.${what} is set`;
}
