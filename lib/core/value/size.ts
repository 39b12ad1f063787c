/* temporary */
export function sizeOf(value: unknown): number {
  return typeof value === 'string' ? value.length * 2 : 64;
}
