import { setTimeout as wait } from 'node:timers/promises';
import { Injectable, NotFoundException } from '@nestjs/common';
import { loadShops, type Order, type Organization, type Shop, type User } from './shop.js';

/** Stands for a database on another machine: every read takes its time, and is counted. */
@Injectable()
export class Database {
  readonly #shops = loadShops();
  /** By default about what a query with a join takes over a network. */
  readonly #queryMs = Number(process.env.QUERY_MS ?? 120);
  #reads = 0;

  /** Reads so far: what the cache saves. */
  get reads(): number {
    return this.#reads;
  }

  async organization(orgId: string): Promise<Organization> {
    return { ...(await this.#read(orgId)).organization };
  }

  async user(orgId: string, userId: number): Promise<User> {
    const { users } = await this.#read(orgId);
    return { ...found(users, userId) };
  }

  async userByEmail(orgId: string, email: string): Promise<User | undefined> {
    if (!this.#shops.has(orgId)) return undefined;
    const { users } = await this.#read(orgId);
    return users.find((user) => user.email === email);
  }

  async countUsers(orgId: string): Promise<number> {
    return (await this.#read(orgId)).users.length;
  }

  async orders(orgId: string): Promise<Order[]> {
    return [...(await this.#read(orgId)).orders];
  }

  async ordersOf(orgId: string, userId: number): Promise<Order[]> {
    const { orders } = await this.#read(orgId);
    return orders.filter((order) => order.userId === userId);
  }

  async rates(): Promise<Record<string, number>> {
    await this.#query();
    return { EUR: 1, USD: 1.25, GBP: 0.8 };
  }

  async renameOrganization(orgId: string, name: string): Promise<Organization> {
    const { organization } = this.#shop(orgId);
    organization.name = name;
    return { ...organization };
  }

  async renameUser(orgId: string, userId: number, name: string): Promise<User> {
    const user = found(this.#shop(orgId).users, userId);
    user.name = name;
    return { ...user };
  }

  async addOrder(orgId: string, userId: number, item: string, cents: number): Promise<Order> {
    const { orders } = this.#shop(orgId);
    const order = { id: orders.length + 1, userId, item, status: 'open', cents };
    orders.push(order);
    return { ...order };
  }

  async #read(orgId: string): Promise<Shop> {
    await this.#query();
    return this.#shop(orgId);
  }

  async #query(): Promise<void> {
    this.#reads++;
    await wait(this.#queryMs);
  }

  #shop(orgId: string): Shop {
    const shop = this.#shops.get(orgId);
    if (!shop) throw new NotFoundException(`There is no organization ${orgId}.`);
    return shop;
  }
}

function found(users: readonly User[], id: number): User {
  const user = users.find((one) => one.id === id);
  if (!user) throw new NotFoundException(`There is no user ${id}.`);
  return user;
}
