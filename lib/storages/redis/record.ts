import { decodeEnvelope, type Checksum, type Envelope } from '../../core/envelope.js';

/** Whether the epochs and fences of an entry are still those of its nodes. */
export type Verdict =
  | 'alive'
  | 'dead'
  /** A fence has moved: whether the entry's tags were evicted, or it was marked stale, must be looked up. */
  | { readonly movedFences: readonly MovedFence[]; readonly isStale: boolean };

/** A node on which tags were evicted, or entries marked stale, since the entry was written. */
export interface MovedFence {
  readonly epoch: string;
  readonly fence: number;
}

const MARK = 69;
const HEADER_BYTES = 3;
const BAR = 124;
const COMMA = 44;

/**
 * An entry as it lies on the server: `E`, a u16 length, `epoch:fence,…|tag,…|stamp|fences`, and an envelope. The
 * part before the envelope is written by the script that knows the epochs; its fences appear twice as its checksum
 * (a damaged epoch matches nothing anyway).
 */
export class EntryRecord {
  readonly #extra: string;

  private constructor(
    extra: string,
    readonly envelope: Envelope,
    readonly envelopeBytes: Uint8Array,
  ) {
    this.#extra = extra;
  }

  /** `undefined`: nothing there, foreign, or damaged. */
  static decode(bytes: Buffer | null | undefined, checksum: Checksum): EntryRecord | undefined {
    if (!bytes || bytes.length < HEADER_BYTES || bytes[0] !== MARK) return undefined;
    const start = HEADER_BYTES + bytes[1]! + 256 * bytes[2]!;
    const rest = bytes.subarray(start);
    const envelope = decodeEnvelope(rest, checksum);
    return (
      envelope && new EntryRecord(bytes.toString('latin1', HEADER_BYTES, start), envelope, rest)
    );
  }

  /** Unique for each write. */
  get stamp(): string {
    return stampOf(this.#extra);
  }

  get hasTags(): boolean {
    const bar = this.#extra.indexOf('|');
    return this.#extra.charCodeAt(bar + 1) !== BAR;
  }

  /** Tags as they appear in key names. */
  get tags(): string[] {
    const tags = this.#extra.split('|')[1];
    return tags ? tags.split(',') : [];
  }

  /** `nodes`: as read from the server together with the entry, global first. */
  judge(nodes: readonly (Buffer | null)[]): Verdict {
    let at = 0;
    for (const node of nodes) {
      const current = node && currentOf(node);
      if (!current) return 'dead';
      const end = at + current.length;
      const isLast = this.#extra.charCodeAt(end) === BAR;
      const isSame =
        this.#extra.startsWith(current, at) && (isLast || this.#extra.charCodeAt(end) === COMMA);
      if (!isSame) return this.#judgeSlowly(nodes);
      at = end + 1;
    }
    // The levels must end here: an entry of another depth is another entry.
    if (this.#extra.charCodeAt(at - 1) !== BAR) return 'dead';
    return this.hasTags && !this.#areFencesSound() ? 'dead' : 'alive';
  }

  #judgeSlowly(nodes: readonly (Buffer | null)[]): Verdict {
    const levels = this.#extra.slice(0, this.#extra.indexOf('|')).split(',');
    if (levels.length !== nodes.length || !this.#areFencesSound()) return 'dead';
    const movedFences: MovedFence[] = [];
    let isStale = false;
    for (const [at, level] of levels.entries()) {
      const [current, , staleFence] = nodes[at]?.toString('latin1').split(';') ?? [];
      const [epoch, fence] = level.split(':') as [string, string];
      if (!current?.startsWith(`${epoch}:`)) return 'dead';
      if (current === level) continue;
      movedFences.push({ epoch, fence: Number(fence) });
      isStale ||= Number(staleFence) > Number(fence);
    }
    return { movedFences, isStale };
  }

  #areFencesSound(): boolean {
    const [levels = '', , , fences] = this.#extra.split('|');
    return (
      levels
        .split(',')
        .map((level) => level.slice(level.indexOf(':') + 1))
        .join('.') === fences
    );
  }
}

/** The stamp of whatever lies under an entry's key, as scripts see it; `''` for nothing, or for what is not ours. */
export function stampAt(bytes: Buffer | null | undefined): string {
  if (!bytes || bytes.length < HEADER_BYTES || bytes[0] !== MARK) return '';
  const start = HEADER_BYTES + bytes[1]! + 256 * bytes[2]!;
  return bytes.length < start + 40 ? '' : stampOf(bytes.toString('latin1', HEADER_BYTES, start));
}

function stampOf(extra: string): string {
  return extra.split('|')[2] ?? '';
}

/** `epoch:fence` of a node. */
function currentOf(node: Buffer): string | undefined {
  const text = node.toString('latin1');
  const end = text.indexOf(';');
  return end < 0 ? undefined : text.slice(0, end);
}
