import type { Scheduler } from 'fast-check';
import {
  memoryStorage,
  type BasicStorage,
  type OpenStorage,
  type StorageDriver,
} from 'nestjs-scoped-cache';
import { mapStorage } from 'nestjs-scoped-cache/testing';

/** Whether a call fails, before or after it has taken effect. */
export type Fault = 'before' | 'after' | undefined;

/**
 * A minimal storage whose every call takes effect, and answers, when the scheduler says so; and fails when `fault` does.
 */
export function scheduledMap(
  scheduler: Scheduler,
  fault: () => Fault = () => undefined,
): BasicStorage {
  const inner = mapStorage();
  const turn = async <T>(call: string, work: () => T): Promise<T> => {
    const fails = fault();
    await scheduler.schedule(Promise.resolve(), `${call} goes`);
    if (fails === 'before') throw new Error(`${call} was made to fail`);
    const result = work();
    await scheduler.schedule(Promise.resolve(), `${call} answers`);
    if (fails === 'after') throw new Error(`${call} was made to fail`);
    return result;
  };
  return {
    name: 'scheduled map',
    get: (key) => turn('get', () => inner.get(key) as Uint8Array | undefined),
    set: (key, bytes, ttlMs) => turn('set', () => void inner.set(key, bytes, ttlMs)),
    delete: (key) => turn('delete', () => void inner.delete(key)),
    clear: (prefix) => turn('clear', () => void inner.clear(prefix)),
  };
}

/** The memory storage, every call of which takes effect, and answers, when the scheduler says so. */
export function scheduledMemory(scheduler: Scheduler): StorageDriver {
  const inner = memoryStorage();
  const passed = ['list', 'close', 'figures'];
  const wrap = (storage: OpenStorage): OpenStorage =>
    new Proxy(storage, {
      get(_, name) {
        if (name === 'isLocal') return false;
        const member: unknown = Reflect.get(storage, name, storage);
        if (typeof member !== 'function') return member;
        const method = member.bind(storage) as (...args: unknown[]) => unknown;
        if (typeof name !== 'string' || passed.includes(name)) return method;
        return async (...args: unknown[]) => {
          await scheduler.schedule(Promise.resolve(), `${name} goes`);
          const result = await method(...args);
          await scheduler.schedule(Promise.resolve(), `${name} answers`);
          return result;
        };
      },
    });
  return { name: 'scheduled memory', open: (host) => wrap(inner.open(host)) };
}
