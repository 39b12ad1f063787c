import { readFile } from 'node:fs/promises';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { hasCode } from './disk.js';

/** Who made a file, in a form that another process can check. */
export interface ProcessIdentity {
  /** Unique among all processes that ever used the folder; safe in file names. */
  readonly id: string;
  readonly pid: number;
  /** When the process started, as the kernel counts it, so that a reused pid is not mistaken; `''` where unknown. */
  readonly start: string;
  /** Machine, boot and pid namespace: pids mean something only inside the same one. */
  readonly space: string;
}

/** This process. `token` keeps several storages of one process apart. */
export function thisProcess(token: string): ProcessIdentity {
  const { pid } = process;
  const tail = token.toLowerCase().replace(/[^0-9a-z]/g, '');
  return {
    id: `${pid}-${tail}`,
    pid,
    start: startedAt(readOr(`/proc/${pid}/stat`)),
    space: pidSpace(),
  };
}

/** Reads back what {@link writeIdentity} made; `undefined` for anything else. */
export function readIdentity(bytes: Uint8Array): ProcessIdentity | undefined {
  const [magic, id, pid, start, space] = new TextDecoder().decode(bytes).split('\n');
  const isWhole =
    magic === 'nestjs-scoped-cache owner' &&
    /^[0-9]+-[0-9a-z]+$/.test(id ?? '') &&
    space !== undefined;
  return isWhole ? { id: id!, pid: Number(pid), start: start!, space } : undefined;
}

export function writeIdentity({ id, pid, start, space }: ProcessIdentity): string {
  return ['nestjs-scoped-cache owner', id, pid, start, space, ''].join('\n');
}

/** Alive, dead, or not to be told from here, which leaves the heartbeat. */
export async function lifeOf(
  other: ProcessIdentity,
  me: ProcessIdentity,
): Promise<'alive' | 'dead' | 'unknown'> {
  if (other.space !== me.space) return 'unknown';
  if (other.start === '') return hasProcess(other.pid) ? 'unknown' : 'dead';
  try {
    const stat = await readFile(`/proc/${other.pid}/stat`, 'latin1');
    return startedAt(stat) === other.start && !isZombie(stat) ? 'alive' : 'dead';
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return 'dead';
    throw error;
  }
}

function hasProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}

/** Field 22. The second field is the program's name in parentheses and may hold anything. */
function startedAt(stat: string): string {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function isZombie(stat: string): boolean {
  return /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
}

function pidSpace(): string {
  const boot = readOr('/proc/sys/kernel/random/boot_id').trim();
  return `${hostname()} ${boot} ${linkOr('/proc/self/ns/pid')}`.replaceAll('\n', ' ');
}

/** `''` on systems without /proc. */
function readOr(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EACCES', 'EPERM')) return '';
    throw error;
  }
}

function linkOr(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EACCES', 'EPERM', 'EINVAL')) return '';
    throw error;
  }
}
