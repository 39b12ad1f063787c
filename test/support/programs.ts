import { execFileSync } from 'node:child_process';

interface Manager {
  readonly name: string;
  readonly install: string;
  /** What to do first where its lists are missing or old. */
  readonly refresh?: string;
  /** For us, not for the line to type. */
  readonly options?: string;
  /** Refuses to run as root. */
  readonly asUser?: true;
}

/** In the order in which they are looked for. */
const MANAGERS: readonly Manager[] = [
  {
    name: 'apt-get',
    install: 'install -y',
    refresh: 'update',
    // Two spec files may want something at once.
    options: '-o DPkg::Lock::Timeout=120',
  },
  { name: 'dnf', install: 'install -y' },
  { name: 'apk', install: 'add', refresh: 'update' },
  { name: 'pacman', install: '-S --noconfirm --needed', refresh: '-Sy' },
  { name: 'brew', install: 'install', asUser: true },
];

/** Packages whose name is not the program's. */
const PACKAGES: Readonly<Record<string, { readonly debian: string; readonly others: string }>> = {
  'redis-server': { debian: 'redis-server', others: 'redis' },
  'redis-sentinel': { debian: 'redis-sentinel', others: 'redis' },
};

/**
 * The program's path. What is not on the PATH is installed with the system's package manager where that is allowed (root, or
 * sudo without a password); else the error is the line to type.
 */
export function findProgram(program: string): string {
  const found = which(program);
  if (found) return found;
  const manager = MANAGERS.find(({ name }) => which(name));
  if (!manager) throw new Error(`These tests need ${program}. Install it, and put it on the PATH.`);
  const isFree = manager.asUser === true || process.getuid?.() === 0;
  const toType = commandOf(manager, program, isFree ? '' : 'sudo ', '');
  if (!succeeds(commandOf(manager, program, isFree ? '' : 'sudo -n ', manager.options ?? '')))
    throw new Error(`These tests need ${program}. Type: ${toType}`);
  const installed = which(program);
  if (installed) return installed;
  throw new Error(`${program} is still missing after: ${toType}`);
}

function commandOf(
  { name, install, refresh }: Manager,
  program: string,
  sudo: string,
  options: string,
): string {
  const names = PACKAGES[program] ?? { debian: program, others: program };
  const steps = [refresh, `${install} ${name === 'apt-get' ? names.debian : names.others}`];
  return steps
    .filter((step) => step !== undefined)
    .map((step) => `${sudo}${name} ${options} ${step}`.replaceAll(/ +/g, ' '))
    .join(' && ');
}

function succeeds(command: string): boolean {
  try {
    execFileSync('sh', ['-c', command], {
      stdio: 'ignore',
      timeout: 300_000,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    return true;
  } catch {
    // The line to type shows why.
    return false;
  }
}

function which(program: string): string | undefined {
  try {
    return execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
  } catch {
    // Not on the PATH: that is the answer.
    return undefined;
  }
}
