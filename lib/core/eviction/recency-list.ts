/** One place in a {@link RecencyList}. */
export interface Link<T> {
  readonly item: T;
  newer: Link<T> | undefined;
  older: Link<T> | undefined;
}

/** Items from the longest unused to the latest used. Every operation is O(1). */
export class RecencyList<T> {
  #oldest: Link<T> | undefined;
  #newest: Link<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get oldest(): T | undefined {
    return this.#oldest?.item;
  }

  add(item: T): Link<T> {
    const link: Link<T> = { item, newer: undefined, older: undefined };
    this.#append(link);
    this.#size++;
    return link;
  }

  /** Makes it the latest used. */
  touch(link: Link<T>): void {
    if (link === this.#newest) return;
    this.#unlink(link);
    this.#append(link);
  }

  /** Its neighbours are forgotten: whoever still holds the link must not hold all that ever came after it. */
  remove(link: Link<T>): void {
    this.#unlink(link);
    link.newer = link.older = undefined;
    this.#size--;
  }

  clear(): void {
    this.#oldest = this.#newest = undefined;
    this.#size = 0;
  }

  /** From the longest unused on. */
  *[Symbol.iterator](): Generator<T> {
    for (let link = this.#oldest; link; link = link.newer) yield link.item;
  }

  #append(link: Link<T>): void {
    link.newer = undefined;
    link.older = this.#newest;
    if (this.#newest) this.#newest.newer = link;
    else this.#oldest = link;
    this.#newest = link;
  }

  #unlink(link: Link<T>): void {
    if (link.older) link.older.newer = link.newer;
    else this.#oldest = link.newer;
    if (link.newer) link.newer.older = link.older;
    else this.#newest = link.older;
  }
}
