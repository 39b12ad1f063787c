import 'reflect-metadata';
import { InvalidOptionsError } from '../../core/errors.js';
import { checkedConfig } from '../method/checked-options.js';
import type { CacheConfigOptions } from '../method/operation-options.js';

const CONFIG: unique symbol = Symbol.for('nestjs-scoped-cache:config');

/** Defaults for the cache decorators of a class and of those that extend it; a subclass may override them one by one. */
export function CacheConfig(options: CacheConfigOptions): ClassDecorator {
  const checked = checkedConfig(options);
  return (type: object) => {
    if (typeof type !== 'function')
      throw new InvalidOptionsError(
        '@CacheConfig belongs on a class, not on a method or property of one.',
      );
    const inherited = configOf(type);
    Reflect.defineMetadata(CONFIG, { ...inherited, ...checked }, type);
  };
}

/** @internal what `@CacheConfig` says about a class, inherited included */
export function configOf(type: object): CacheConfigOptions {
  return (Reflect.getMetadata(CONFIG, type) ?? {}) as CacheConfigOptions;
}
