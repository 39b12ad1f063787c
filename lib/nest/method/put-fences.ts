import type { CacheService } from '../cache.service.js';
import type { WriteFence } from '../../core/write-fences.js';

/**
 * The fences of one call's puts, one for each cache: taken before the method runs, so that what it returns is not stored
 * over something newer (P5). One for all puts of a call, which do not outdate each other.
 */
export class PutFences {
  readonly #fences = new Map<CacheService, WriteFence>();

  /** The fence, taken now unless the call has it already. */
  of(cache: CacheService): WriteFence {
    let fence = this.#fences.get(cache);
    if (!fence) this.#fences.set(cache, (fence = cache.openFence()));
    return fence;
  }

  close(): void {
    for (const fence of this.#fences.values()) fence.close();
  }
}
