import type { MemoryRecord } from './memory-record.js';

/**
 * A place in the queue; passes to the record that replaces its own. `undefined`: its record has left, or is queued
 * elsewhere. It may stay for as long as the record would have lived, so it must not keep a value in memory.
 */
export interface ExpirySlot {
  readonly due: number;
  record: MemoryRecord | undefined;
}

/**
 * Records by the time at which they become stale or must be gone: a binary heap. Slots of removed and renewed records stay in it
 * until their old time comes, or until they are more than half of it; so `add` is all that a write pays, O(1) on average.
 */
export class ExpiryQueue {
  #heap: ExpirySlot[] = [];
  #gone = 0;

  get size(): number {
    return this.#heap.length;
  }

  /**
   * To be called when a record comes in or its end has moved. One that ends later than it is queued for stays where it is
   * and is put back when its old time comes, so renewing costs nothing.
   */
  add(record: MemoryRecord): void {
    const due = record.nextEnd;
    if (due === Infinity || (record.slot !== undefined && due >= record.slot.due)) return;
    // Its old slot stays behind.
    const isMoved = this.detach(record);
    record.slot = { due, record };
    this.#push(record.slot);
    if (isMoved) this.noteDetached(1);
  }

  /** `next` takes the place of `gone`, which has left the cache, without the queue growing. */
  handOver(gone: MemoryRecord, next: MemoryRecord): void {
    const { slot } = gone;
    if (slot && slot.due <= next.nextEnd && next.nextEnd !== Infinity) {
      slot.record = next;
      next.slot = slot;
      gone.slot = undefined;
    } else {
      this.noteGone(gone);
      this.add(next);
    }
  }

  /** A record has left the cache. */
  noteGone(record: MemoryRecord): void {
    if (this.detach(record)) this.noteDetached(1);
  }

  /** Empties the record's slot; `false`: it has none. Of many records at once, {@link noteDetached} is told how many had. */
  detach(record: MemoryRecord): boolean {
    if (record.slot === undefined) return false;
    record.slot.record = undefined;
    record.slot = undefined;
    return true;
  }

  /** So many slots were left behind. */
  noteDetached(count: number): void {
    this.#gone += count;
    if (this.#gone > 64 && this.#gone > this.#heap.length / 2) this.#compact();
  }

  /** Takes the next record that is due out, or `undefined`. Renewed ones are put back for later. */
  takeDue(now: number): MemoryRecord | undefined {
    for (let first = this.#heap[0]; first && first.due <= now; first = this.#heap[0]) {
      this.#pop();
      const { record } = first;
      if (record === undefined) this.#gone--;
      else {
        record.slot = undefined;
        if (record.nextEnd <= now) return record;
        this.add(record);
      }
    }
    return undefined;
  }

  clear(): void {
    this.#heap = [];
    this.#gone = 0;
  }

  /** Drops what nobody waits for. O(n log n) of what stays. */
  #compact(): void {
    const kept = this.#heap.filter((slot) => slot.record !== undefined);
    this.#heap = [];
    this.#gone = 0;
    // Sorted input makes every push O(1).
    kept.sort((one, other) => one.due - other.due);
    for (const item of kept) this.#push(item);
  }

  #push(item: ExpirySlot): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.due <= item.due) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = item;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.due < heap[child]!.due) child++;
      if (heap[child]!.due >= last.due) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}
