import type { EntrySealer } from '../../core/entry-sealer.js';
import { PAYLOAD, type Envelope } from '../../core/envelope.js';
import { CacheError } from '../../core/errors.js';
import type { NewEntry } from '../../core/entry.js';
import type { EntryAddress, ListedEntry, StorageHost } from '../../core/storage.js';

/** One entry of a snapshot, ready to be written back; or why it is not. */
export type RecordOutcome =
  | { readonly kind: 'entry'; readonly at: EntryAddress; readonly entry: NewEntry }
  /** Its time was over. */
  | { readonly kind: 'expired' }
  /** Its scope is none of this cache's, or another cache wrote the file. */
  | { readonly kind: 'skipped' }
  | { readonly kind: 'damaged'; readonly at?: EntryAddress; readonly error?: CacheError };

/** @throws SerializationError for a value that cannot be written down */
export function encodeRecord(
  host: StorageHost,
  sealer: EntrySealer,
  { address, entry }: ListedEntry,
): Uint8Array {
  const { clock, serializer } = host;
  const freshUntil = entry.freshUntil - clock.monotonic() + clock.now();
  const fields = {
    encoding: PAYLOAD.plain,
    scope: address.scope.id,
    key: address.key,
    // The beginning of the life that ends when this one does, however often it was renewed.
    storedAt: entry.ttlMs === Infinity ? clock.now() : freshUntil - entry.ttlMs,
    ttlMs: entry.ttlMs,
    graceMs: entry.staleUntil === Infinity ? 0 : entry.staleUntil - entry.freshUntil,
    sliding: entry.sliding,
    tags: entry.tags,
    loadMs: entry.loadMs,
    extra: host.namespace,
    payload: serializer.serialize(entry.value),
  };
  return sealer.encode(fields);
}

/** The entry with what is left of its life. */
export function decodeRecord(
  host: StorageHost,
  sealer: EntrySealer,
  record: Uint8Array,
): RecordOutcome {
  try {
    const sealed = sealer.decode(record);
    return sealed ? outcomeOf(host, sealer.open(sealed, record)) : { kind: 'damaged' };
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    return { kind: 'damaged', error };
  }
}

function outcomeOf(host: StorageHost, envelope: Envelope): RecordOutcome {
  const { clock, scopes, serializer, admit, namespace } = host;
  const scope = scopes.parse(envelope.scope);
  if (!scope || envelope.extra !== namespace) return { kind: 'skipped' };
  const leftMs = envelope.storedAt + envelope.ttlMs - clock.now();
  if (leftMs <= 0) return { kind: 'expired' };
  const { key, graceMs, sliding, tags, loadMs } = envelope;
  const at = { scope, key };
  try {
    const value = serializer.deserialize(envelope.payload);
    const entry = {
      value: admit ? admit(value, key) : value,
      ttlMs: envelope.ttlMs,
      // A clock that was set back must not make lives longer than they were given.
      remainingMs: Math.min(leftMs, envelope.ttlMs),
      graceMs,
      sliding,
      tags,
      ...(loadMs !== undefined && { loadMs }),
    };
    return { kind: 'entry', at, entry };
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    return { kind: 'damaged', at, error };
  }
}
