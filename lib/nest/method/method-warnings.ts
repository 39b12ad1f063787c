import { Logger } from '@nestjs/common';

/** Says each thing once for each method: a log line for every request would hide the first one. Bounded by the methods. */
export class MethodWarnings {
  readonly #said = new Set<string>();
  readonly #logger = new Logger('CacheModule');

  /** @param kind what the warning is about; the same kind is not said twice of one method */
  once(label: string, kind: string, message: string): void {
    const id = `${kind} ${label}`;
    if (this.#said.has(id)) return;
    this.#said.add(id);
    this.#logger.warn(`${label}: ${message}`);
  }
}
