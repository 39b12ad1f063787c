/** The two functions that every test runner has. Contract suites take them and so bind none: Jest, Vitest, node:test. */
export interface ContractRunner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => void | Promise<void>): unknown;
}

/** What every contract suite is told. */
export interface ContractOptions extends ContractRunner {
  /** Shown in the title of the suite. */
  readonly name: string;
  /** Clauses that are not met, with the reason, which then stands in the title: `{ S5: 'the server cannot count' }`. */
  readonly skip?: Readonly<Record<string, string>>;
}

/** Declares one clause: `clause('S1', 'an entry lives …', body)`. */
export type DeclareClause = (ids: string, claim: string, body: () => void | Promise<void>) => void;

/** Declares clauses with `it`; those that are skipped pass at once, and say so and why in their titles. */
export function clauseDeclarer(options: ContractOptions): DeclareClause {
  return (ids, claim, body) => {
    const reason = ids
      .split(' ')
      .map((id) => (options.skip && Object.hasOwn(options.skip, id) ? options.skip[id] : undefined))
      .find((one) => one !== undefined);
    if (reason === undefined) options.it(`${ids}: ${claim}`, body);
    else options.it(`${ids}: SKIPPED (${reason}): ${claim}`, () => undefined);
  };
}
