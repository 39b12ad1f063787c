import type { ScopePath } from '../scope.js';
import type { EntryAddress, StorageHost } from '../storage.js';

/** Under which keys a {@link BasicStorage} keeps the entries and epochs of one namespace: short, and of a plain alphabet. */
export class PhysicalKeys {
  /** How all of them begin. */
  readonly prefix: string;

  constructor(readonly host: StorageHost) {
    this.prefix = `c${host.digest(host.namespace).slice(0, 16)}.`;
  }

  /** How those of entries begin. */
  get entries(): string {
    return `${this.prefix}e`;
  }

  entry({ scope, key }: EntryAddress): string {
    return `${this.entries}${this.#digest(`${scope.id}\n${key}`)}`;
  }

  scope(scope: ScopePath): string {
    return `${this.prefix}s${this.#digest(scope.id)}`;
  }

  tag(scope: ScopePath, tag: string): string {
    return `${this.prefix}t${this.#digest(`${scope.id}\n${tag}`)}`;
  }

  /** UTF-8 cannot tell lone surrogates apart; such texts are escaped. A quotation mark never starts the others. */
  #digest(text: string): string {
    return this.host.digest(LONE_SURROGATE.test(text) ? JSON.stringify(text) : text);
  }
}

const LONE_SURROGATE = /\p{Surrogate}/u;
