import { type OnModuleInit } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { InvalidOptionsError } from '../core/errors.js';
import { CacheRegistry } from './cache-registry.js';

/**
 * Refuses options that depend on a request. Nest would make them, and with them the cache, anew for every request: nothing
 * would ever be found, and each of the storages would stay open (P16, P17). In a class of its own, since Nest makes none of
 * those that depend on the options when such an application starts.
 */
export class PerRequestCheck implements OnModuleInit {
  constructor(readonly modules: ModulesContainer) {}

  /** Called by Nest. @throws InvalidOptionsError */
  onModuleInit(): void {
    for (const { providers } of this.modules.values())
      if (providers.get(CacheRegistry)?.isDependencyTreeStatic() === false)
        throw new InvalidOptionsError(
          'CacheModule.forRootAsync: "inject" names REQUEST or a provider that Nest makes for each request, so there would be a new cache for each. Options are made once, when the application starts; what differs from request to request belongs into a scope ("resolve" of its level).',
        );
  }
}
