/**
 * Waits in real time, keeping the process alive: what is waited for is another process, and a write that waits for its turn
 * must not be lost because nothing else is going on here. The clock's timers would let the process end.
 */
export function pause(ms: number): Promise<void> {
  // oxlint-disable-next-line no-restricted-globals -- see above; bounded by the callers' deadlines
  return new Promise((resolve) => setTimeout(resolve, ms));
}
