import { constants, type Stats } from 'node:fs';
import { mkdir, open, rename, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { CacheError, SerializationError } from '../../core/errors.js';
import { syncFolder, unlinkIfThere } from './disk.js';
import { encodeHead, encodeRecordHead, encodeTrailer, SnapshotParser } from './snapshot-format.js';
import { removeOrphans, rotate, tempName } from './snapshot-rotation.js';

/** How a snapshot is written. */
export interface SnapshotOptions {
  /** Snapshots kept beside the newest, as `<file>.1` (the newest of them) to `<file>.N`. Default 2. 0: none. */
  readonly backups?: number;
  /** Wall-clock ms of the dump, from which lives are counted when it is restored. */
  readonly dumpedAt: number;
}

/** Bytes written or read at a time. The records of a chunk take a few milliseconds; between chunks others have their turn. */
const CHUNK_BYTES = 64 * 1024;
const FILE_MODE = 0o600;

/**
 * Replaces the snapshot in `file` with these records, in this order: a temporary file beside it, written fully, synced,
 * read back and compared; then the backups move up, the old snapshot becomes the first of them, and the new one takes its
 * place. Whenever the process ends in between, `file` is the old snapshot or the new one, whole.
 *
 * Resolves to the number of records. Rejects with the cause, the old snapshot in place and no temporary file left.
 */
export async function writeSnapshot(
  file: string,
  records: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: SnapshotOptions,
): Promise<number> {
  const path = resolve(file);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await removeOrphans(path);
  const temp = join(dirname(path), tempName(path));
  try {
    const written = await writeTemp(temp, records, options.dumpedAt);
    await verify(temp, written);
    await rotate(path, options.backups ?? 2);
    await rename(temp, path);
    await syncFolder(dirname(path));
    return written.records;
  } catch (error) {
    await unlinkIfThere(temp);
    throw error;
  }
}

/** What is known of a snapshot after reading all of it. */
export interface SnapshotState {
  /** Unharmed from the first byte to the last. */
  readonly isWhole: boolean;
  /** Wall-clock ms; `undefined` when not even the head can be read. */
  readonly dumpedAt: number | undefined;
  /** Good records. */
  readonly count: number;
  readonly damaged: number;
}

/** Reads a snapshot through without keeping anything. Rejects with ENOENT when there is none. */
export async function inspectSnapshot(file: string): Promise<SnapshotState> {
  const state = { isWhole: false, dumpedAt: undefined as number | undefined, count: 0, damaged: 0 };
  for await (const part of readParts(file, (parser) =>
    Object.assign(state, { isWhole: parser.isWhole, dumpedAt: parser.dumpedAt }),
  )) {
    if (part) state.count++;
    else state.damaged++;
  }
  return state;
}

/** The good records of a snapshot, in order, whether or not the rest of it is good. Rejects with ENOENT when there is none. */
export async function* readSnapshot(file: string): AsyncGenerator<Uint8Array> {
  for await (const part of readParts(file, () => undefined)) if (part) yield part;
}

/** `file` and its backups, newest first, whether they exist or not. */
export function snapshotFiles(file: string, backups: number): string[] {
  const path = resolve(file);
  return [path, ...Array.from({ length: backups }, (_, at) => `${path}.${at + 1}`)];
}

async function writeTemp(
  temp: string,
  records: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  dumpedAt: number,
): Promise<SnapshotWriter> {
  const handle = await open(
    temp,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0),
    FILE_MODE,
  );
  try {
    await handle.chmod(FILE_MODE);
    const writer = new SnapshotWriter(handle);
    await writer.add(encodeHead(dumpedAt));
    for await (const record of records) {
      await writer.add(encodeRecordHead(record));
      await writer.add(record);
      writer.records++;
    }
    await writer.add(encodeTrailer(writer.records, writer.sum));
    await writer.flush();
    await handle.sync();
    return writer;
  } finally {
    await handle.close();
  }
}

/** Gathers small pieces into chunks. */
class SnapshotWriter {
  records = 0;
  sum = 0;
  bytes = 0;
  #pieces: Uint8Array[] = [];
  #waiting = 0;

  constructor(readonly handle: FileHandle) {}

  add(piece: Uint8Array): Promise<void> | undefined {
    this.sum = crc32(piece, this.sum);
    this.bytes += piece.length;
    this.#pieces.push(piece);
    this.#waiting += piece.length;
    return this.#waiting >= CHUNK_BYTES ? this.flush() : undefined;
  }

  async flush(): Promise<void> {
    const chunk = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#waiting = 0;
    // Writes until all of it is taken or the system says why not, unlike `write`.
    await this.handle.writeFile(chunk);
  }
}

/** Reads back what was meant to be written: disks that lie are caught while the old snapshot is still there. */
async function verify(temp: string, expected: { bytes: number; sum: number }): Promise<void> {
  let bytes = 0;
  let sum = 0;
  for await (const chunk of chunksOf(temp)) {
    bytes += chunk.length;
    sum = crc32(chunk, sum);
  }
  if (bytes !== expected.bytes || sum !== expected.sum)
    throw new SerializationError(
      `The snapshot ${temp} reads back differently from what was written (${bytes} of ${expected.bytes} bytes). The previous one stays.`,
    );
}

async function* readParts(
  file: string,
  atEnd: (parser: SnapshotParser) => void,
): AsyncGenerator<Uint8Array | undefined> {
  const parser = new SnapshotParser();
  for await (const chunk of chunksOf(file)) {
    for (const part of parser.push(chunk)) yield part.kind === 'record' ? part.bytes : undefined;
    if (parser.isLost && !parser.isWhole) break;
  }
  atEnd(parser);
}

async function* chunksOf(file: string): AsyncGenerator<Uint8Array> {
  const handle = await open(
    file,
    constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0),
  );
  try {
    checkTrusted(file, await handle.stat());
    for (;;) {
      const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      const { bytesRead } = await handle.read(chunk, 0, CHUNK_BYTES, null);
      if (bytesRead === 0) return;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/** Whoever can write the file decides what the cache answers. */
function checkTrusted(file: string, stats: Stats): void {
  const uid = process.getuid?.();
  if (!stats.isFile())
    throw new CacheError('STORAGE_UNAVAILABLE', `The snapshot ${file} is no plain file.`);
  if (uid !== undefined && (stats.uid !== uid || (stats.mode & 0o022) !== 0))
    throw new CacheError(
      'STORAGE_UNAVAILABLE',
      `The snapshot ${file} was not read: other users could have written it (owner ${stats.uid}, mode ${(stats.mode & 0o777).toString(8)}). If it is yours, chown it and run chmod go-w on it.`,
    );
}
