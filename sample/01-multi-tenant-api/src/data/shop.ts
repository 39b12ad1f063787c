import { readFileSync } from 'node:fs';

export interface Organization {
  readonly id: string;
  name: string;
  readonly plan: string;
}

/** `id` is unique within the organization only. */
export interface User {
  readonly id: number;
  name: string;
  readonly email: string;
  readonly role: 'admin' | 'member';
}

/** `id` is unique within the organization only. */
export interface Order {
  readonly id: number;
  readonly userId: number;
  readonly item: string;
  readonly status: string;
  readonly cents: number;
}

/** What one organization owns. */
export interface Shop {
  readonly organization: Organization;
  readonly users: User[];
  readonly orders: Order[];
}

interface ShopFile {
  readonly organizations: Organization[];
  readonly users: Record<string, User[]>;
  readonly orders: Record<string, Order[]>;
}

/** A fresh copy of data/shop.json, by organization id. */
export function loadShops(): Map<string, Shop> {
  const file = new URL('../../data/shop.json', import.meta.url);
  const { organizations, users, orders } = JSON.parse(readFileSync(file, 'utf8')) as ShopFile;
  return new Map(
    organizations.map((organization) => [
      organization.id,
      { organization, users: users[organization.id]!, orders: orders[organization.id]! },
    ]),
  );
}
