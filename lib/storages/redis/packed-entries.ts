/** What the server needs of an entry beside its envelope. */
export interface EntryHead {
  /** Member of the indexes, and the last part of the key. */
  readonly name: string;
  /** As they appear in key names, joined by commas. */
  readonly tags: string;
  /** When it ends, as text of a number. */
  readonly score: string;
  /** Whole ms; 0: forever. */
  readonly life: number;
}

/** Makes the envelope in the room that `allocate` gives, which may be larger than needed. */
export type Seal = (allocate: (size: number) => Uint8Array) => Uint8Array;

const FIRST_BYTES = 8 * 1024;
/** Of a head without its texts: group, four lengths, length of the envelope. */
const FIXED_BYTES = 1 + 2 + 2 + 1 + 1 + 4;

/**
 * Entries one behind the other in one piece of memory, as `WRITE_MANY` takes them apart: one argument for all, where an
 * argument for each part of each entry would cost the client more than the entry itself.
 *
 *     u8 group   u16 length, name   u16 length, tags   u8 length, score   u8 length, life   u32 length, envelope
 */
export class PackedEntries {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #end = 0;

  /** What has been added, without a copy. Nothing may be added afterwards. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#end);
  }

  get size(): number {
    return this.#end;
  }

  /** Adds nothing when `seal` throws. @param group at most 255 */
  add(group: number, { name, tags, score, life }: EntryHead, seal: Seal): void {
    const lifeText = String(life);
    const texts = 3 * name.length + tags.length + score.length + lifeText.length;
    this.#reserve(FIXED_BYTES + texts);
    const bytes = this.#bytes;
    let at = bytes.writeUInt8(group, this.#end);
    const nameLength = bytes.write(name, at + 2);
    at = bytes.writeUInt16LE(nameLength, at) + nameLength;
    at = bytes.writeUInt16LE(tags.length, at);
    at += bytes.write(tags, at, 'latin1');
    at = bytes.writeUInt8(score.length, at);
    at += bytes.write(score, at, 'latin1');
    at = bytes.writeUInt8(lifeText.length, at);
    at += bytes.write(lifeText, at, 'latin1');
    const envelope = seal((size) => this.#room(at + 4, size));
    this.#bytes.writeUInt32LE(envelope.length, at);
    this.#end = at + 4 + envelope.length;
  }

  #room(from: number, size: number): Uint8Array {
    this.#reserve(from - this.#end + size);
    return this.#bytes.subarray(from, from + size);
  }

  /** What is there already, also beyond the end, moves along. */
  #reserve(more: number): void {
    const wanted = this.#end + more;
    if (wanted <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(wanted, 2 * this.#bytes.length));
    this.#bytes.copy(larger);
    this.#bytes = larger;
  }
}
