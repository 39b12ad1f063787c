import { InvalidOptionsError } from '../../core/errors.js';
import { markKeyParameter } from '../method/cached-method.js';

/** Marks the parameters that tell calls apart, where others do not matter: `find(@CacheKey() id: string, log: Logger)`. */
export function CacheKey(): ParameterDecorator {
  return (prototype, name, index) => {
    if (name === undefined)
      throw new InvalidOptionsError(
        '@CacheKey() belongs on a parameter of a method, not of a constructor.',
      );
    markKeyParameter(prototype, name, index);
  };
}
