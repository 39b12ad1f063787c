/**
 * Cluster slots. Every entry of a root scope lives in one of {@link BUCKETS} slots, global entries in a slot chosen by
 * their key, so that whatever an operation needs lies together and scripts are legal on a Cluster.
 */

/** Fixed, and no option: processes that disagreed would not see each other's evictions. */
const BUCKETS = 64;
const SLOTS = 16_384;

/** One hash tag for each bucket, their slots spread evenly over the slot range. The same in every process. */
export function bucketTags(): string[] {
  const width = SLOTS / BUCKETS;
  return Array.from({ length: BUCKETS }, (_, bucket) => {
    for (let salt = 0; ; salt++) {
      const tag = `${bucket.toString(36)}-${salt.toString(36)}`;
      if (Math.floor(slotOf(tag) / width) === bucket) return tag;
    }
  });
}

/** The bucket of a root scope's id or of a global key's name. FNV-1a over UTF-16 units: spread, not secrecy. */
export function bucketOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash ^ (hash >>> 15)) & (BUCKETS - 1);
}

/** CRC16 (XMODEM) modulo 16384 of an ASCII hash tag, as the Cluster specification says. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (let at = 0; at < tag.length; at++) {
    crc ^= tag.charCodeAt(at) << 8;
    for (let bit = 0; bit < 8; bit++)
      crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc % SLOTS;
}
