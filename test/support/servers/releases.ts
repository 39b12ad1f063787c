import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Servers that `scripts/fetch-servers.mjs` puts into `.cache/servers`, where it can. */
export type Release = 'valkey-8' | 'redis-8' | 'redis-6.2';

/** The program of another release; `undefined` where it was not fetched. */
export function findRelease(release: Release): string | undefined {
  const program = join(process.cwd(), '.cache/servers', release, 'server');
  return existsSync(program) ? program : undefined;
}

/** For the title of a test that cannot run without it. */
export const HOW_TO_FETCH = 'SKIPPED (node scripts/fetch-servers.mjs gets the server)';
