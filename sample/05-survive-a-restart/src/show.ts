import { setTimeout as pause } from 'node:timers/promises';
import type { Kind } from './app.module.js';
import { Application } from './application.js';

const NAMES = ['sales', 'stock', 'returns'];

/** What was found after one restart. */
export interface Restarted {
  /** Reports that the new process served without making them. */
  readonly hits: number;
  /** Seconds of life they had left, at most; the TTL is 60. */
  readonly ttl: number;
}

/** Warms the cache, ends the process in both ways, and looks what is left each time. */
export async function show(
  folder: string,
  kind: Kind,
  say: (line: string) => void,
): Promise<{ readonly killed: Restarted; readonly stopped: Restarted }> {
  let application = await Application.start(folder, kind);
  for (const name of NAMES) await application.report(name);
  say(`${kind}: process ${application.pid} made ${NAMES.length} reports.`);
  await pause(2_100);

  await application.end('SIGKILL');
  application = await Application.start(folder, kind);
  const killed = await look(application);
  say(
    `${kind}: after kill -9, process ${application.pid} served ${killed.hits} of them, with ${killed.ttl} s left.`,
  );
  await pause(1_100);

  await application.end('SIGTERM');
  application = await Application.start(folder, kind);
  const stopped = await look(application);
  say(
    `${kind}: after SIGTERM, process ${application.pid} served ${stopped.hits} of them, with ${stopped.ttl} s left.`,
  );
  await application.end('SIGTERM');
  return { killed, stopped };
}

async function look(application: Application): Promise<Restarted> {
  const answers = await Promise.all(NAMES.map((name) => application.report(name)));
  const hits = answers.filter(({ isHit, madeBy }) => isHit && madeBy !== application.pid);
  return { hits: hits.length, ttl: Math.max(...hits.map(({ ttl }) => ttl)) };
}
