import { EntrySealer } from '../../core/entry-sealer.js';
import type { StorageHost } from '../../core/storage.js';
import type { NewFile } from './file-content.js';
import { EntryFiles } from './entry-files.js';
import { FileLayout, type Place } from './file-layout.js';
import { FoundFiles } from './found-files.js';
import { FileLeases } from './file-leases.js';
import type { FileSettings } from './file-options.js';
import { FileSubtree } from './file-subtree.js';
import { Folders } from './folders.js';
import { KeyGate } from './key-gate.js';
import { Owners } from './owners.js';
import { Quarantine } from './quarantine.js';
import { isOnLocalDisk, prepareFolders, restoreFolders } from './safe-folder.js';
import { ScopeEvictions } from './scope-evictions.js';
import { SlotlessWrites } from './slotless-writes.js';
import { Slots } from './slots.js';
import { Sweeper } from './sweeper.js';
import { Trash } from './trash.js';
import { Usage, type Victim } from './usage.js';

/** The parts of one open file storage, wired. */
export class FileParts {
  readonly layout: FileLayout;
  readonly owners: Owners;
  readonly quarantine: Quarantine;
  readonly usage: Usage;
  readonly gate: KeyGate;
  readonly files: EntryFiles;
  readonly slotless: SlotlessWrites;
  readonly found: FoundFiles;
  readonly trash: Trash;
  readonly subtree: FileSubtree;
  readonly evictions: ScopeEvictions;
  readonly leases: FileLeases;
  readonly sweeper: Sweeper;
  readonly #background = new Set<Promise<void>>();
  #isClosed = false;
  #isSeeded = false;

  constructor(
    readonly host: StorageHost,
    settings: FileSettings,
  ) {
    const token = host
      .randomToken()
      .toLowerCase()
      .replace(/[^0-9a-z]/g, '');
    const fault = (during: string, error: unknown): void =>
      host.listener.onFault?.({ during, storage: 'file', error });
    this.layout = new FileLayout(settings.directory, host.namespace, host.digest);
    const surroundings = prepareFolders(this.layout, settings, token);
    const isLocal = isOnLocalDisk(this.layout.base);
    const like: NewFile = {
      mode: settings.fileMode,
      setsMode: surroundings.spoilsFiles,
      isLocal,
      showsReplaced: isLocal && surroundings.showsReplaced,
      durable: settings.durable,
    };
    const restore = (): void => {
      restoreFolders(this.layout, settings);
      // Also when another process has made the folders again: what this one's file stood for went with them.
      this.owners.registerNow();
    };
    this.owners = new Owners(this.layout, { ...like, durable: false }, token);
    this.quarantine = new Quarantine(this.layout, host.listener, host.random(), restore);
    this.usage = new Usage(settings);
    const slots = new Slots(this.layout, this.owners, settings.lockMs, restore);
    this.gate = new KeyGate(slots, (error) => fault('release', error));
    const folders = new Folders(
      this.layout,
      this.quarantine,
      like,
      settings.directoryMode,
      surroundings.spoilsFolders,
      this.owners.me.id,
      restore,
    );
    const sealer = new EntrySealer(host, settings.encryption);
    this.files = new EntryFiles(host, sealer, this.layout, folders, this.gate, this.quarantine);
    this.slotless = new SlotlessWrites(this.files);
    this.found = new FoundFiles(this.files);
    this.trash = new Trash(this.layout, this.owners, folders, fault);
    this.subtree = new FileSubtree(host, this.layout, this.files, this.found, this.usage);
    this.evictions = new ScopeEvictions(host, this.layout, this.found, this.trash, this.usage);
    this.leases = new FileLeases(host, this.files, this.owners, (place, bytes) =>
      this.noteWritten(place, bytes),
    );
    this.sweeper = new Sweeper({ ...this, slots }, settings.sweepMs, fault, () => this.#seeded());
    // A first look at everything: without it nobody knows how much there is.
    if (this.usage.isLimited) this.sweeper.start();
    else this.#isSeeded = true;
  }

  /** After a write, without the key: makes room when there is too much. */
  async noteWritten(place: Place, bytes: Uint8Array): Promise<void> {
    this.usage.written(place.path, bytes.length, this.host.clock.now());
    if (this.#isSeeded) await this.#makeRoom();
  }

  /** After a write, with the key: room is made in the background, since other keys must not be waited for here. */
  noteWrittenAlone(place: Place, bytes: Uint8Array): void {
    this.usage.written(place.path, bytes.length, this.host.clock.now());
    if (this.#isSeeded && this.usage.isLimited)
      this.inBackground(this.#makeRoom().catch((error: unknown) => this.#fault(error)));
  }

  /** Work that `close` waits for. It must not reject. */
  inBackground(work: Promise<void>): void {
    const mine = work.finally(() => this.#background.delete(mine));
    this.#background.add(mine);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.sweeper.close();
    await this.trash.close();
    await this.gate.whenIdle();
    await Promise.all(this.#background);
    await this.owners.close();
  }

  async #seeded(): Promise<void> {
    this.#isSeeded = true;
    await this.#makeRoom();
  }

  async #makeRoom(): Promise<void> {
    for (let victim = this.usage.nextVictim(); victim; victim = this.usage.nextVictim())
      await this.#evict(victim);
  }

  async #evict({ path, reason }: Victim): Promise<void> {
    const place = this.layout.placeAt(path);
    const isGone = await this.files.alone(place, async () => {
      // Written again since it was chosen: then it is not the longest unused any more.
      if (this.usage.usedAt(path) !== undefined) return false;
      await this.files.removeAlone(place);
      return true;
    });
    if (isGone) this.host.listener.onRemoval?.(reason, 1);
  }

  #fault(error: unknown): void {
    this.host.listener.onFault?.({ during: 'makeRoom', storage: 'file', error });
  }
}
