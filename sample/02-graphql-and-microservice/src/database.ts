import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';

/** Stands for the databases of shop and warehouse: slow, and it counts what it is asked. */
@Injectable()
export class Database {
  reads = 0;
  readonly #titles = new Map([
    ['1', { title: 'The Dispossessed', authorId: 'le-guin' }],
    ['2', { title: 'Solaris', authorId: 'lem' }],
    ['3', { title: 'The Lathe of Heaven', authorId: 'le-guin' }],
  ]);
  readonly #authors = new Map([
    ['le-guin', 'Ursula K. Le Guin'],
    ['lem', 'Stanisław Lem'],
  ]);
  readonly #stock = new Map([
    ['1', 3],
    ['2', 1],
    ['3', 0],
  ]);
  readonly #shelves = new Map<string, string[]>();

  async books(): Promise<{ id: string; title: string; authorId: string }[]> {
    await this.#read();
    return [...this.#titles].map(([id, book]) => ({ id, ...book }));
  }

  async author(id: string): Promise<string> {
    await this.#read();
    return this.#authors.get(id) ?? 'unknown';
  }

  async stock(bookId: string): Promise<number> {
    await this.#read();
    return this.#stock.get(bookId) ?? 0;
  }

  /** What is left; `undefined` when there was none. */
  take(bookId: string): number | undefined {
    const left = (this.#stock.get(bookId) ?? 0) - 1;
    if (left < 0) return undefined;
    this.#stock.set(bookId, left);
    return left;
  }

  async shelf(userId: string): Promise<string[]> {
    await this.#read();
    return [...(this.#shelves.get(userId) ?? [])];
  }

  put(userId: string, bookId: string): void {
    this.#shelves.set(userId, [...(this.#shelves.get(userId) ?? []), bookId]);
  }

  async #read(): Promise<void> {
    this.reads++;
    await pause(Number(process.env.QUERY_MS ?? 150));
  }
}
