/**
 * Writes shop.json: three organizations, their users and orders. The seed is fixed, so every run writes the same file.
 * User ids and order ids start at 1 in each organization, on purpose: an id alone says nothing about whose data it is.
 */
import { writeFileSync } from 'node:fs';

const ORGANIZATIONS = [
  { id: 'acme', name: 'Acme Ltd', plan: 'business' },
  { id: 'globex', name: 'Globex Inc', plan: 'starter' },
  { id: 'initech', name: 'Initech LLC', plan: 'business' },
];
const NAMES = {
  acme: ['Ada', 'Alan', 'Alice', 'Amir', 'Anna', 'Arun', 'Asa', 'Astrid', 'Atif', 'Ayo'],
  globex: ['Gao', 'Gerd', 'Gina', 'Gita', 'Greta', 'Grace', 'Guido', 'Gul', 'Gus', 'Gwen'],
  initech: ['Ian', 'Ida', 'Igor', 'Ilse', 'Imre', 'Ines', 'Inga', 'Ivan', 'Ivy', 'Izumi'],
};
const ITEMS = ['Chair', 'Desk', 'Lamp', 'Laptop', 'Mouse', 'Paper', 'Phone', 'Plant', 'Screen'];
const STATUSES = ['open', 'open', 'paid', 'paid', 'paid', 'shipped', 'refunded'];
const ORDERS_PER_ORGANIZATION = 1_000;

const random = mulberry32(20_261_120);
const lines = (rows, indent) => rows.map((row) => indent + onOneLine(row)).join(',\n');
const eachOf = (make) =>
  ORGANIZATIONS.map(({ id }) => `    "${id}": [\n${lines(make(id), '      ')}\n    ]`).join(',\n');

const text = `{
  "organizations": [\n${lines(ORGANIZATIONS, '    ')}\n  ],
  "users": {\n${eachOf(usersOf)}\n  },
  "orders": {\n${eachOf(ordersOf)}\n  }
}\n`;
writeFileSync(new URL('shop.json', import.meta.url), text);

function usersOf(org) {
  return NAMES[org].map((name, at) => ({
    id: at + 1,
    name,
    email: `${name.toLowerCase()}@${org}.test`,
    role: at === 0 ? 'admin' : 'member',
  }));
}

function ordersOf(org) {
  return Array.from({ length: ORDERS_PER_ORGANIZATION }, (_, at) => ({
    id: at + 1,
    userId: 1 + below(NAMES[org].length),
    item: ITEMS[below(ITEMS.length)],
    status: STATUSES[below(STATUSES.length)],
    cents: 500 + 50 * below(2_000),
  }));
}

/** As prettier writes it, so that formatting never changes the file. */
function onOneLine(row) {
  return JSON.stringify(row, undefined, 1).replace(/\n\s*/g, ' ');
}

function below(limit) {
  return Math.floor(random() * limit);
}

/** A small generator of pseudo-random numbers from 0 to 1; public domain, by Tommy Ettinger. */
function mulberry32(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
