import { writeFileSync } from 'node:fs';
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock, type Clock } from '../../core/clock.js';
import { hasCode, lstat, unlinkIfThere } from './disk.js';
import { createWhole, readWhole, type NewFile } from './file-content.js';
import type { FileLayout } from './file-layout.js';
import {
  lifeOf,
  readIdentity,
  thisProcess,
  writeIdentity,
  type ProcessIdentity,
} from './process-identity.js';
import { Silence } from './silence.js';

/** How often a process shows that it is alive, for those that cannot look up its pid. */
const HEARTBEAT_MS = 15_000;

/**
 * The processes that use the folder: each has one file in `owners/`, of which its slots are hard links, so that whoever
 * meets a slot can read whose it is, from the moment that it exists.
 *
 * Real time on purpose: other processes do not live on the host's clock.
 */
export class Owners {
  readonly me: ProcessIdentity;
  readonly file: string;
  readonly #silence = new Silence();
  readonly #stopHeartbeat: () => void;
  #registering: Promise<void> | undefined;

  constructor(
    readonly layout: FileLayout,
    readonly like: NewFile,
    token: string,
    readonly clock: Clock = systemClock,
  ) {
    this.me = thisProcess(token);
    this.file = join(layout.owners, this.me.id);
    this.registerNow();
    this.#stopHeartbeat = this.#beat();
  }

  /** Makes this process's file unless it is there. */
  register(): Promise<void> {
    this.#registering ??= this.#create().finally(() => (this.#registering = undefined));
    return this.#registering;
  }

  /** Before anything else carries this process's name: others remove temporary files whose owner has no file. */
  registerNow(): void {
    try {
      writeFileSync(this.file, writeIdentity(this.me), { flag: 'wx', mode: this.like.mode });
    } catch (error) {
      // Nothing can be written then, temporary files least of all; the first write tries again and reports it.
      if (
        !hasCode(error, 'EEXIST', 'EROFS', 'EACCES', 'EPERM', 'ENOSPC', 'EDQUOT', 'EIO', 'EMFILE')
      )
        throw error;
    }
  }

  /** Whose file this is, and whether that process is gone for certain. `undefined`: no owner's file, or not there any more. */
  async inspect(
    path: string,
  ): Promise<{ readonly owner: ProcessIdentity; readonly isDead: boolean } | undefined> {
    const bytes = await readWhole(path);
    const owner = bytes instanceof Uint8Array ? readIdentity(bytes) : undefined;
    return owner && { owner, isDead: await this.isDead(owner, path) };
  }

  /** @param path the owner's file or a link of it: all of them carry its heartbeat */
  async isDead(owner: ProcessIdentity, path: string): Promise<boolean> {
    if (owner.id === this.me.id) return false;
    const life = await lifeOf(owner, this.me);
    if (life !== 'unknown') return life === 'dead';
    return this.#isSilent(owner.id, path);
  }

  /** Whether the process with this id is gone; one without a file is. */
  async isGone(id: string): Promise<boolean> {
    if (id === this.me.id) return false;
    const found = await this.inspect(join(this.layout.owners, id));
    return found === undefined || found.isDead;
  }

  /** Ids of all processes that have a file. */
  async ids(): Promise<string[]> {
    const ids = await readdir(this.layout.owners);
    this.#silence.keepOnly(ids);
    return ids;
  }

  async close(): Promise<void> {
    this.#stopHeartbeat();
    await unlinkIfThere(this.file);
  }

  async #create(): Promise<void> {
    try {
      await createWhole(this.file, new TextEncoder().encode(writeIdentity(this.me)), this.like);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  }

  async #isSilent(id: string, path: string): Promise<boolean> {
    try {
      return this.#silence.isSilent(id, (await lstat(path)).mtimeMs);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return false;
      throw error;
    }
  }

  /** A failing beat is nobody's fault but the disk's; others then take this process for dead, which costs it nothing but locks. */
  #beat(): () => void {
    let isStopped = false;
    let stop = (): void => undefined;
    const arm = (): void => {
      if (!isStopped) stop = this.clock.after(HEARTBEAT_MS, beat);
    };
    const beat = (): void => {
      this.#silence.noteOwnBeat();
      const seconds = this.clock.now() / 1_000;
      utimes(this.file, seconds, seconds).then(arm, arm);
    };
    arm();
    return () => {
      isStopped = true;
      stop();
    };
  }
}
