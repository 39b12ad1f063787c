import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';

export interface Product {
  readonly id: string;
  readonly name: string;
  readonly category: string;
}

/** Stands for a database of two organizations: slow, and it counts what it is asked. */
@Injectable()
export class Database {
  reads = 0;
  readonly organizations = ['acme', 'globex'];
  readonly #products = new Map<string, Product>();

  constructor() {
    for (const org of this.organizations)
      for (const [id, name, category] of [
        ['1', 'Anvil', 'iron'],
        ['2', 'Horseshoe', 'iron'],
        ['3', 'Rocket', 'air'],
      ] as const)
        this.#products.set(`${org}/${id}`, { id, name, category });
  }

  async product(org: string, id: string): Promise<Product | undefined> {
    await this.#read();
    return this.#products.get(`${org}/${id}`);
  }

  async products(org: string, category: string): Promise<Product[]> {
    await this.#read();
    return [...this.#products]
      .filter(([key, product]) => key.startsWith(`${org}/`) && product.category === category)
      .map(([, product]) => product);
  }

  save(org: string, product: Product): Product {
    this.#products.set(`${org}/${product.id}`, product);
    return product;
  }

  remove(org: string, id: string): void {
    this.#products.delete(`${org}/${id}`);
  }

  async address(org: string, user: string): Promise<string> {
    await this.#read();
    return `${user}, ${org} street`;
  }

  async #read(): Promise<void> {
    this.reads++;
    await pause(Number(process.env.QUERY_MS ?? 100));
  }
}
