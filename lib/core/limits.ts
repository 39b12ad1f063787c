/** Keys, tags and scope ids above this many bytes of UTF-8 are refused. */
export const KEY_BYTES_MAX = 65_536;

/** Whether `text` takes more than `max` bytes in UTF-8. Counts only when the length leaves room for doubt. */
export function byteLengthExceeds(text: string, max: number): boolean {
  if (text.length > max) return true;
  if (text.length * 3 <= max) return false;
  let bytes = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
  }
  return bytes > max;
}
