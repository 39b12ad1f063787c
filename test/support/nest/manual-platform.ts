import type { Platform } from 'nestjs-scoped-cache';
import { nodePlatform } from '../../../lib/platform/node-platform.js';
import { ManualClock } from '../../../lib/testing/manual-clock.js';

/** The platform of production with a clock that stands still. */
export function manualPlatform(): Platform & { readonly clock: ManualClock } {
  return { ...nodePlatform, clock: new ManualClock() };
}
