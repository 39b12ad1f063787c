import type { Scheduler } from 'fast-check';
import type { StorageDriver } from 'nestjs-scoped-cache';
import type { BusConnection, BusHandlers, CacheBus } from '../../lib/core/bus.js';
import { EpochStorage } from '../../lib/core/epochs/epoch-storage.js';
import { scheduledMap } from './race-kit.js';

export const BEAT_MS = 500;

/** A far tier with fences of its own, every call of which takes effect, and answers, when the scheduler says so. */
export function scheduledFar(scheduler: Scheduler): StorageDriver {
  const inner = scheduledMap(scheduler);
  return { name: 'scheduled far', open: (host) => new EpochStorage(inner, host) };
}

/**
 * Carries texts to each node in the order in which they were sent, when the scheduler says so. Loses some when `isLost` says
 * so, but never two in a row on one way.
 */
export class LossyBus {
  readonly #ears: Ear[] = [];

  constructor(
    readonly scheduler: Scheduler,
    readonly isLost: () => boolean,
  ) {}

  /** The bus of one node. */
  forNode(): CacheBus {
    return {
      open: (_channel, handlers): BusConnection => {
        const ear = new Ear(this.scheduler, handlers);
        this.#ears.push(ear);
        void Promise.resolve().then(() => handlers.onUp());
        return {
          publish: async (text) => {
            for (const one of this.#ears) one.receive(text, ear, this.isLost());
          },
          close: async () => void (ear.isClosed = true),
        };
      },
    };
  }
}

class Ear {
  isClosed = false;
  readonly #waiting: string[] = [];
  readonly #hasLost = new Set<Ear>();

  constructor(
    readonly scheduler: Scheduler,
    readonly handlers: BusHandlers,
  ) {}

  receive(text: string, from: Ear, isLost: boolean): void {
    if (isLost && !this.#hasLost.has(from)) {
      this.#hasLost.add(from);
      return;
    }
    this.#hasLost.delete(from);
    this.#waiting.push(text);
    void this.scheduler.schedule(Promise.resolve(), 'bus').then(() => this.#hear());
  }

  #hear(): void {
    const text = this.#waiting.shift()!;
    if (!this.isClosed) this.handlers.onMessage(text);
  }
}
