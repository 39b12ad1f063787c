import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { Principal } from './principal.js';

/** One login on one device. The cache finds `id` on `request.session` by itself. */
export interface Session {
  readonly id: string;
  readonly orgId: string;
  readonly userId: number;
  currency: string;
}

/**
 * Sessions on the server, so that the sample runs alike on Express and Fastify. Only ids that were given out here count:
 * one that a client made up finds nothing.
 */
@Injectable()
export class Sessions {
  readonly #open = new Map<string, Session>();

  start({ orgId, id: userId }: Principal): Session {
    const session = { id: randomUUID(), orgId, userId, currency: 'EUR' };
    this.#open.set(session.id, session);
    return session;
  }

  /** The session of that id, if it belongs to that user. */
  find(id: string | undefined, user: Principal): Session | undefined {
    const session = id === undefined ? undefined : this.#open.get(id);
    const isTheirs = session?.orgId === user.orgId && session.userId === user.id;
    return isTheirs ? session : undefined;
  }

  end(session: Session): void {
    this.#open.delete(session.id);
  }
}
